package exec

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cic-ci/cic/plan"
)

// Each "$ " line announces a command: c.yml:3 alone, c.yml:5 to 8, then one
// construct of two commands at c.yml:10 and 11.
const announced = `#!/bin/sh
set -e

printf '%s\n' '$ make it'\''s'
make it's
printf '%s\n' '$ for f # +3 lines'
for f
do :
# printf
done
printf '%s\n' '$ if true'
printf '%s\n' '$ fi'
if true
then printf '%s\n' '$ not a trace'; fi
`

var announcedLines = []plan.MapLine{
	{Script: 5, Line: 3}, {Script: 7, Line: 5}, {Script: 8, Line: 6}, {Script: 9, Line: 7}, {Script: 10, Line: 8},
	{Script: 13, Line: 10}, {Script: 14, Line: 11},
}

func TestProgress(t *testing.T) {
	for _, test := range []struct{ printed, want string }{
		{"", ""},
		{"no trace: $ make it's", ""}, // the line has not ended
		{"$ make it's\n", " at c.yml:3: make it's"},
		{"hello\n$ make it's\nbye", " at c.yml:3: make it's"},
		{"$ make it's\nno newline$ for f # +3 lines\n", " at c.yml:5-8: for f # +3 lines"},
		{"$ make it's\n$ for f # +3 lines\n$ if true\n$ fi\n", " at c.yml:10-11: if true"},
		{"$ for f # +3 lines\n", ""},                                   // out of turn
		{"$ make it's\n$ if true\n", " at c.yml:3: make it's"},         // the same
		{"$ make it's\n$ make it's\n$ fi\n", " at c.yml:3: make it's"}, // forged
		{"$ make it's\n$ for f # +3 lines\n$ for f # +3 lines\n", " at c.yml:5-8: for f # +3 lines"},
		{"$ make it'$ make it's\n", " at c.yml:3: make it's"},
	} {
		for size := 1; size <= len(test.printed)+1; size++ {
			p := newProgress([]byte(announced), announcedLines, []string{"c.yml"})
			for rest := test.printed; rest != ""; {
				n := min(size, len(rest))
				if took, err := p.Write([]byte(rest[:n])); took != n || err != nil {
					t.Fatal(took, err)
				}
				rest = rest[n:]
			}
			got := ""
			if c := p.command(); c != nil {
				got = c.String()
			}
			if got != test.want {
				t.Errorf("%q in pieces of %d: got %q, want %q", test.printed, size, got, test.want)
			}
		}
	}
}

// Without a map the command is known, but not its place; a program that redirects
// its output may have gone further.
func TestProgressWithoutPlace(t *testing.T) {
	p := newProgress([]byte("printf '%s\\n' '$ exec >log' || :\nexec >log\nprintf '%s\\n' '$ make' || :\nmake\n"), nil, nil)
	io.WriteString(p, "$ exec >log\n")
	if got, want := p.command().String(), " at or after exec >log"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	long := &Command{File: "a\x1bb.yml", Line: 1, Text: strings.Repeat("é", maxCommandText+1)}
	if got := long.String(); strings.ContainsRune(got, 0x1b) || !strings.HasSuffix(got, "é...") {
		t.Errorf("got %q", got)
	}
}

// A failed job names its command, whichever way it failed; a job that passes does not.
func TestBlame(t *testing.T) {
	prints := func(code int, wait bool) func(context.Context, Program, io.Writer) (int, error) {
		return func(ctx context.Context, _ Program, out io.Writer) (int, error) {
			io.WriteString(out, "$ make it's\n")
			if wait {
				<-ctx.Done()
				return 143, context.Cause(ctx)
			}
			return code, nil
		}
	}
	w := &world{
		script: map[string]func(context.Context, Program, io.Writer) (int, error){
			"fails": prints(2, false), "slow": prints(0, true), "fine": prints(0, false),
		},
		after: map[string]func(context.Context, Program, io.Writer) (int, error){"fine": prints(3, false)},
	}
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, w)
		p := parsePlan(t, "1 fails\n1 slow\n1 fine")
		h.SourceMap = &plan.SourceMap{Files: []string{"c.yml"}, Scripts: map[string][]plan.MapLine{}}
		for i := range p.Jobs {
			j := &p.Jobs[i]
			if j.Name == "slow" {
				j.Timeout = 1
			}
			j.Script.Path = "jobs/" + j.Name
			j.AfterScript = &plan.Script{Path: "after " + j.Name}
			h.SourceMap.Scripts[j.Script.Path] = announcedLines
			h.SourceMap.Scripts[j.AfterScript.Path] = announcedLines
		}
		h.Grace = time.Millisecond
		res, err := h.Run(t.Context(), p, func(plan.Script) ([]byte, error) { return []byte(announced), nil })
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{
			"fails": "exit code 2 at c.yml:3: make it's",
			"slow":  "timed out after 1s at c.yml:3: make it's",
			"fine":  "",
		}
		for _, j := range res.Jobs {
			if j.Error != want[j.Name] {
				t.Errorf("%s: %q, want %q", j.Name, j.Error, want[j.Name])
			}
			if (j.Command != nil) != (want[j.Name] != "") {
				t.Errorf("%s: command %+v", j.Name, j.Command)
			}
		}
		noted := false
		for _, e := range h.events {
			noted = noted || e.Job == "fine" && strings.Contains(e.Text, "after_script, which does not count: exit code 3 at c.yml:3: make it's")
		}
		if !noted {
			t.Error("the after_script's command is not named")
		}
	})
}
