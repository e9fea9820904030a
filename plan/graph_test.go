package plan

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// jobsOf parses "stage/name needs...": a need with a leading ! has artifacts:
// false, a lone * is stage mode, a trailing + on the name declares artifacts.
func jobsOf(lines ...string) []Job {
	var jobs []Job
	for _, line := range lines {
		fields := strings.Fields(line)
		stage, name, _ := strings.Cut(fields[0], "/")
		j := simple(strings.TrimSuffix(name, "+"), stage)
		if strings.HasSuffix(name, "+") {
			j.Artifacts = &Artifacts{Untracked: true, When: "always"}
		}
		for _, need := range fields[1:] {
			if need == "*" {
				j.AfterStages = true
			} else {
				j.Needs = append(j.Needs, Need{Job: strings.TrimPrefix(need, "!"), Artifacts: need[0] != '!'})
			}
		}
		jobs = append(jobs, j)
	}
	return jobs
}

func TestLevels(t *testing.T) {
	for _, test := range []struct {
		name string
		jobs []string
		want string
	}{
		{"none", nil, "[]"},
		{"one", []string{"a/x"}, "[[x]]"},
		{"first stage in stage mode", []string{"a/x *", "a/y"}, "[[x y]]"},
		{"stages", []string{"a/x *", "a/y *", "b/z *", "c/w *"}, "[[x y] [z] [w]]"},
		{"needs skip a stage", []string{"a/x *", "b/y *", "c/z x"}, "[[x] [y z]]"},
		{"needs nothing", []string{"a/x *", "b/y *", "c/z"}, "[[x z] [y]]"},
		{"same stage", []string{"a/x y", "a/y"}, "[[y] [x]]"},
		{"stage waits for a chain in the stage before", []string{"a/x", "a/y x", "a/z y", "b/w *"}, "[[x] [y] [z] [w]]"},
		{"stage mode over a stage of early jobs", []string{"a/x", "a/y x", "b/e", "c/w *"}, "[[x e] [y] [w]]"},
		{"diamond", []string{"a/x", "b/l x", "b/r x", "c/d l r"}, "[[x] [l r] [d]]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			jobs := jobsOf(test.jobs...)
			p := &Plan{Jobs: jobs}
			for _, j := range jobs {
				if !slices.Contains(p.Stages, j.Stage) {
					p.Stages = append(p.Stages, j.Stage)
				}
			}
			levels, err := Levels(p.Stages, jobs)
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(levels); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestNewGraphErrors(t *testing.T) {
	for _, test := range []struct {
		jobs []string
		want string
	}{
		{[]string{"a/x", "a/x"}, `two jobs are named "x"`},
		{[]string{"q/x"}, `job "x": no stage is named "q"`},
		{[]string{"a/x y"}, `job "x": no job is named "y"`},
		{[]string{"a/x x"}, `jobs wait for each other: "x" -> "x"`},
		{[]string{"a/x", "a/a c", "a/b a", "a/c b"}, `jobs wait for each other: "a" -> "c" -> "b" -> "a"`},
		{[]string{"a/w y", "a/z y", "a/y z"}, `jobs wait for each other: "z" -> "y" -> "z"`},
		// A job that waits for a stage in which a job waits for it.
		{[]string{"a/x z", "b/y *", "c/z *"}, `jobs wait for each other: "x" -> "z" -> "y" -> "x"`},
	} {
		_, err := NewGraph(&Plan{Stages: []string{"a", "b", "c"}, Jobs: jobsOf(test.jobs...)})
		if err == nil || err.Error() != test.want {
			t.Errorf("%v: got %v, want %s", test.jobs, err, test.want)
		}
		var cycle *CycleError
		if errors.As(err, &cycle) != strings.HasPrefix(test.want, "jobs wait") {
			t.Errorf("%v: %T", test.jobs, err)
		}
	}
}

func TestGraphAccess(t *testing.T) {
	g, err := NewGraph(assemble(t, jobsOf("a/x", "a/y", "b/z y x", "b/w *", "c/v x")...))
	if err != nil {
		t.Fatal(err)
	}
	if i, ok := g.Index("z"); !ok || i != 2 {
		t.Error("index of z:", i, ok)
	}
	if _, ok := g.Index("nobody"); ok {
		t.Error("there is nobody")
	}
	if got := g.Needs(2); !slices.Equal(got, []int{1, 0}) {
		t.Error("needs of z:", got)
	}
	if got := g.Dependents(0); !slices.Equal(got, []int{2, 4}) {
		t.Error("dependents of x:", got)
	}
	if !g.StageMode(3) || g.StageMode(2) || g.Stage(3) != 1 || !slices.Equal(g.StageJobs(1), []int{2, 3}) {
		t.Error("stages")
	}
}

func TestProducers(t *testing.T) {
	for _, test := range []struct {
		name string
		jobs []string
		want map[string]string
	}{
		{"direct", []string{"a/x+", "b/y x"}, map[string]string{"x": "[]", "y": "[x]"}},
		{"through a job without", []string{"a/x+", "b/y x", "c/z y"}, map[string]string{"z": "[x]"}},
		{"in plan order", []string{"a/x+", "a/y+", "b/z y x"}, map[string]string{"z": "[x y]"}},
		{"not asked for", []string{"a/x+", "b/y !x", "c/z y"}, map[string]string{"y": "[]", "z": "[]"}},
		{"not asked for, reached otherwise", []string{"a/x+", "b/y+ x", "c/z !y x"}, map[string]string{"z": "[x]"}},
		{"not asked for hides what is behind", []string{"a/x+", "b/y+ x", "c/z !y"}, map[string]string{"z": "[]"}},
		{"stages", []string{"a/x+", "a/w", "b/y+ *", "c/z *"}, map[string]string{"y": "[x]", "z": "[x y]"}},
		{"stages, but not the own", []string{"a/x+", "b/y+ *", "b/z *"}, map[string]string{"z": "[x]"}},
		{"behind a job in stage mode", []string{"a/x+", "b/y *", "c/z y"}, map[string]string{"z": "[x]"}},
		{"first stage in stage mode", []string{"a/x+", "a/y *"}, map[string]string{"y": "[]"}},
		{"nothing needed", []string{"a/x+", "b/y"}, map[string]string{"y": "[]"}},
		{"not itself", []string{"a/x+", "b/y+ x"}, map[string]string{"y": "[x]"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := assemble(t, jobsOf(test.jobs...)...)
			g, err := NewGraph(p)
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range test.want {
				i, _ := g.Index(name)
				var names []string
				for _, k := range g.Producers(i) {
					names = append(names, p.Jobs[k].Name)
				}
				if got := fmt.Sprint(names); got != want {
					t.Errorf("%s: got %s, want %s", name, got, want)
				}
			}
		})
	}
}

func TestWholeStages(t *testing.T) {
	p := assemble(t, jobsOf("a/x+", "b/y+ *", "b/z x", "c/u z y", "c/v !y x", "c/w", "d/last v", "d/stage *")...)
	g, err := NewGraph(p)
	if err != nil {
		t.Fatal(err)
	}
	// By job: x y z u v w last stage.
	if got, want := g.WholeStages(true), []int{0, 1, 0, 1, 0, 0, 0, 3}; !slices.Equal(got, want) {
		t.Errorf("through artifacts: got %v, want %v", got, want)
	}
	if got, want := g.WholeStages(false), []int{0, 1, 0, 1, 1, 0, 1, 3}; !slices.Equal(got, want) {
		t.Errorf("through all needs: got %v, want %v", got, want)
	}
}

// TestGraphAgainstDefinition compares levels, producers and reachability with
// the plainest computation, on random plans.
func TestGraphAgainstDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		p := randomPlan(t, r)
		g, err := NewGraph(p)
		if err != nil {
			t.Fatal(err)
		}
		n := len(p.Jobs)
		level := make([]int, n)
		upstream := make([]map[int]bool, n)
		producers := make([]map[int]bool, n)
		for i := range p.Jobs { // needs of randomPlan point backwards
			upstream[i], producers[i] = map[int]bool{}, map[int]bool{}
			for k := range i {
				need := slices.IndexFunc(p.Jobs[i].Needs, func(n Need) bool { return n.Job == p.Jobs[k].Name })
				direct := need >= 0 || p.Jobs[i].AfterStages && p.Jobs[k].Stage != p.Jobs[i].Stage
				if !direct {
					continue
				}
				level[i] = max(level[i], level[k]+1)
				upstream[i][k] = true
				for up := range upstream[k] {
					upstream[i][up] = true
				}
				if need >= 0 && !p.Jobs[i].Needs[need].Artifacts {
					continue
				}
				if p.Jobs[k].Artifacts != nil {
					producers[i][k] = true
				}
				for up := range producers[k] {
					producers[i][up] = true
				}
			}
		}
		want := make([][]string, slices.Max(level)+1)
		for i, l := range level {
			want[l] = append(want[l], p.Jobs[i].Name)
		}
		if got := g.Levels(); !reflect.DeepEqual(got, want) {
			t.Fatalf("levels %v, want %v", got, want)
		}
		up := make([]uint64, len(g.order))
		block := make([]int, min(n, 64))
		for k := range block {
			block[k] = k
		}
		g.upstreamOf(block, up)
		whole, waited := g.WholeStages(true), g.WholeStages(false)
		for i := range p.Jobs {
			for k := range p.Jobs {
				if p.Jobs[k].Artifacts != nil && g.Stage(k) < whole[i] && !producers[i][k] {
					t.Fatalf("job %d: whole stages before %d, but not the artifacts of %d", i, whole[i], k)
				}
				if g.Stage(k) < waited[i] && !upstream[i][k] {
					t.Fatalf("job %d: whole stages before %d, but it does not wait for %d", i, waited[i], k)
				}
			}
			got := g.Producers(i)
			if !slices.IsSorted(got) || len(got) != len(producers[i]) {
				t.Fatalf("job %d: producers %v, want %v", i, got, producers[i])
			}
			for _, k := range got {
				if !producers[i][k] {
					t.Fatalf("job %d: producers %v, want %v", i, got, producers[i])
				}
			}
			for k := range block {
				if up[i]>>k&1 == 1 != upstream[i][k] {
					t.Fatalf("job %d waits for %d: %v", i, k, upstream[i][k])
				}
			}
		}
	}
}

// TestGraphIsCompact: 20,000 jobs in two stages would have 100 million edges.
func TestGraphIsCompact(t *testing.T) {
	jobs := make([]Job, 20000)
	for i := range jobs {
		jobs[i] = simple(fmt.Sprintf("j%d", i), fmt.Sprintf("s%d", i/10000))
		jobs[i].AfterStages = true
		jobs[i].Artifacts = &Artifacts{Untracked: true, When: "always"}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	g, err := NewGraph(&Plan{Stages: []string{"s0", "s1"}, Jobs: jobs})
	if err != nil {
		t.Fatal(err)
	}
	if got := len(g.Producers(19999)); got != 10000 {
		t.Errorf("%d producers", got)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
		t.Errorf("%d MiB allocated", used>>20)
	}
}

func BenchmarkProducers(b *testing.B) {
	p := layered(b, 20000)
	for i := range p.Jobs {
		p.Jobs[i].Artifacts = &Artifacts{Untracked: true, When: "always"}
	}
	b.ReportAllocs()
	for b.Loop() {
		g, err := NewGraph(p)
		if err != nil {
			b.Fatal(err)
		}
		g.Producers(0)
	}
}
