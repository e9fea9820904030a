package exec

import "testing"

func TestComposite(t *testing.T) {
	const (
		c  = StatusCreated
		p  = StatusPending
		r  = StatusRunning
		s  = StatusSuccess
		w  = statusWarning
		f  = StatusFailed
		x  = StatusCanceled
		k  = StatusSkipped
		ig = statusIgnored
		m  = StatusManual
	)
	for _, tt := range []struct {
		set        []Status
		stage, dag Status
	}{
		{nil, s, s},
		{[]Status{s}, s, s},
		{[]Status{s, w}, s, s},
		{[]Status{w}, s, s},
		{[]Status{k}, k, k},
		{[]Status{ig}, k, k},
		{[]Status{k, ig}, k, k},
		{[]Status{s, k}, s, k},
		{[]Status{s, ig}, s, k},
		{[]Status{s, k, w, ig}, s, k},
		{[]Status{f, k}, f, k},
		{[]Status{f, ig}, f, k},
		{[]Status{f, s}, f, f},
		{[]Status{f, w}, f, f},
		{[]Status{x, s}, x, x},
		{[]Status{x, w}, x, x},
		{[]Status{x, k}, x, k},
		{[]Status{x, f}, f, f},
		{[]Status{c}, c, p},
		{[]Status{c, w, ig}, c, k},
		{[]Status{c, s}, r, p},
		{[]Status{c, f}, r, p},
		{[]Status{p, c}, p, p},
		{[]Status{p, s}, r, p},
		{[]Status{r, f}, r, p},
		{[]Status{r, m}, r, p},
		{[]Status{m}, m, p},
		{[]Status{m, s}, m, p},
		{[]Status{m, f}, m, p},
		{[]Status{m, c}, m, p},
		{[]Status{m, k}, m, k},
		{[]Status{r, k}, r, k},
	} {
		var n tally
		for _, state := range tt.set {
			n.add(state, 1)
		}
		if got := n.composite(false); got != tt.stage {
			t.Errorf("composite of %v = %s, want %s", tt.set, got, tt.stage)
		}
		if got := n.composite(true); got != tt.dag {
			t.Errorf("composite of %v for needs = %s, want %s", tt.set, got, tt.dag)
		}
	}
}

func TestRunsOn(t *testing.T) {
	for _, tt := range []struct {
		when, stage, dag string // the statuses it runs on, by letter
	}{
		{"on_success", "sk", "s"},
		{"manual", "sk", "s"},
		{"delayed", "sk", "s"},
		{"on_failure", "f", "f"},
		{"always", "sfk", "sfk"},
	} {
		for _, dag := range []bool{false, true} {
			got := ""
			for _, s := range []struct {
				letter string
				status Status
			}{{"s", StatusSuccess}, {"f", StatusFailed}, {"k", StatusSkipped}, {"x", StatusCanceled}} {
				if runsOn(tt.when, s.status, dag) {
					got += s.letter
				}
			}
			want := tt.stage
			if dag {
				want = tt.dag
			}
			if got != want {
				t.Errorf("%s (needs: %v) runs on %q, want %q", tt.when, dag, got, want)
			}
		}
	}
}
