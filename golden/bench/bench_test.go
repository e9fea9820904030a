//go:build linux

package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/cic-ci/cic/compile"
	"github.com/cic-ci/cic/plan"
)

func compiled(t *testing.T, pipeline string) *plan.Plan {
	t.Helper()
	result, found, _ := compile.Compile(compile.Options{Source: "pipeline.yml", Data: []byte(pipeline), Ref: "main", Event: "push"})
	if result == nil {
		t.Fatal(found[0])
	}
	return result.Plan
}

// What is measured must be what the table says.
func TestPipelines(t *testing.T) {
	for _, test := range []struct {
		name, pipeline           string
		jobs, withNeeds, batches int
	}{
		{"100 jobs", string(pipeline(100, 1, false)), 100, 40, 5},
		{"copies", string(pipeline(50, 4, false)), 200, 80, 5},
		{"mixed", string(pipeline(100, 1, true)), 100, 40, 5},
		{"unequal", unequal(), 9, 6, 3},
		{"chain", noOpChain(20), 20, 19, 20},
		{"fan-out", fanOut(200, "true"), 200, 0, 3},
	} {
		p := compiled(t, test.pipeline)
		withNeeds := 0
		for _, j := range p.Jobs {
			if len(j.Needs) > 0 {
				withNeeds++
			}
		}
		if len(p.Jobs) != test.jobs || withNeeds != test.withNeeds || len(p.Batches) != test.batches {
			t.Errorf("%s: %d jobs, %d with needs, %d batches, want %d, %d, %d", test.name,
				len(p.Jobs), withNeeds, len(p.Batches), test.jobs, test.withNeeds, test.batches)
		}
	}
}

func TestIncluded(t *testing.T) {
	files := included()
	project := fstest.MapFS{}
	for name, text := range files {
		project[name] = &fstest.MapFile{Data: text}
	}
	result, found, _ := compile.Compile(compile.Options{Source: "ci.yml", Data: files["ci.yml"], Ref: "main", Event: "push", Project: project})
	if result == nil {
		t.Fatal(found[0])
	}
	if p := result.Plan; len(p.Jobs) != 5000 || len(p.Batches) != 3 || len(files) != 151 || len(found) > 0 {
		t.Errorf("%d jobs, %d batches, %d files, %v", len(p.Jobs), len(p.Batches), len(files), found)
	}
}

// The graph must be one that a barrier after each level delays.
func TestUnequal(t *testing.T) {
	barrier := 0
	for level := range chains[0] {
		longest := 0
		for _, chain := range chains {
			longest = max(longest, chain[level])
		}
		barrier += longest
	}
	longest := 0
	for _, chain := range chains {
		sum := 0
		for _, seconds := range chain {
			sum += seconds
		}
		longest = max(longest, sum)
	}
	if time.Duration(longest)*time.Second != criticalPath || barrier != 9 {
		t.Errorf("critical path of %d s, with barriers %d s", longest, barrier)
	}
}

func TestOutputLine(t *testing.T) {
	if got := (len(outputLine) + 1) * outputLines; got != 10<<20 {
		t.Errorf("a job prints %d bytes", got)
	}
}

func TestTable(t *testing.T) {
	var out strings.Builder
	rows := []row{
		{figure: "quick", measured: "1 s", against: "floor: 2 s", ratio: 0.5, bar: "< 2 s"},
		{figure: "slow", measured: "9 s", against: "floor: 2 s", ratio: 4.5, bar: "< 2 s", over: true},
		{figure: "known", measured: "9 s", ratio: 0.00012},
	}
	if err := printTable(&out, rows); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`(?m)^quick .* 0\.50 +< 2 s +ok$`, `(?m)^slow .* 4\.50 +< 2 s +over$`, `(?m)^known .* 0\.00012 *$`} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("no %s in\n%s", want, &out)
		}
	}
}

func TestSample(t *testing.T) {
	for _, test := range []struct {
		s                sample
		median, quietest time.Duration
	}{
		{sample{3}, 3, 3},
		{sample{9, 1, 2}, 2, 1},
		{sample{8, 2, 4, 100}, 6, 2},
	} {
		if m, q := test.s.median(), test.s.quietest(); m != test.median || q != test.quietest {
			t.Errorf("%v: median %d, quietest %d, want %d, %d", test.s, m, q, test.median, test.quietest)
		}
	}
}

func TestShow(t *testing.T) {
	for d, want := range map[time.Duration]string{
		42 * time.Microsecond: "42 µs", 1500 * time.Microsecond: "1.50 ms", 75 * time.Millisecond: "75 ms",
		1234 * time.Millisecond: "1.23 s", 75 * time.Second: "75.0 s",
	} {
		if got := show(d); got != want {
			t.Errorf("show(%d) = %q, want %q", d, got, want)
		}
	}
	if got := fmt.Sprint(mib(300<<20), ", ", kib(1023)); got != "300 MiB, 1 KiB" {
		t.Error(got)
	}
}
