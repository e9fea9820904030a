package exec

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cic-ci/cic/exec/workspace"
	"github.com/cic-ci/cic/plan"
)

func dotenvWorker(t *testing.T) *worker {
	t.Helper()
	p := parsePlan(t, "1 a")
	p.Variables = plan.Variables{{Name: "CI_COMMIT_REF_NAME", Value: plan.Literal("main")}}
	return &worker{plan: p, r: &run{}, job: &p.Jobs[0]}
}

func TestParseDotenv(t *testing.T) {
	w := dotenvWorker(t)
	many := strings.Repeat("A=1\n", 30) // one variable, again and again
	var twentyOne strings.Builder
	for _, c := range "ABCDEFGHIJKLMNOPQRSTU" {
		twentyOne.WriteString(string(c) + "=\n")
	}
	for _, tt := range []struct{ name, data, want, err string }{
		{"empty", "", "", ""},
		{"one", "A=b", "A=b", ""},
		{"spaces, equal signs, quotes", " A = b=c \nB=\"x y\" # z\nC=\n", `A=b=c|B="x y" # z|C=`, ""},
		{"CRLF and BOM", "\ufeffA=b\r\nB=c\r\n", "A=b|B=c", ""},
		{"the last one counts", "A=1\nB=2\nA=3\n", "A=3|B=2", ""},
		{"nothing is run", "A=$(id)\nB=`id`", "A=$(id)|B=`id`", ""},
		{"the same name often", many, "A=1", ""},
		{"blank line", "A=1\n\nB=2\n", "", "line 2 is not of the form NAME=VALUE"},
		{"comment", "# a comment", "", "line 1 is not of the form NAME=VALUE"},
		{"several lines", "A=1\nmore\n", "", "line 2 is not of the form"},
		{"export", "export A=1", "", `line 1: "export A" cannot be a variable's name`},
		{"dash", "A-B=1", "", `line 1: "A-B" cannot be`},
		{"no name", "=1", "", `line 1: "" cannot be`},
		{"NUL", "A=\x00", "", "holds a NUL byte at offset 2"},
		{"not UTF-8", "A=\xff", "", "is not UTF-8"},
		{"too many", twentyOne.String(), "", "sets 21 variables, and 20 are allowed"},
		{"too large", "A=" + strings.Repeat("x", 5<<10), "", "is larger than 5 KiB"},
		{"the search path", "B=1\nPATH=/evil", "", "line 2: PATH is reserved: it changes how the shell"},
		{"the loader", "LD_PRELOAD=/evil.so", "", "line 1: LD_PRELOAD is reserved"},
		{"the shell", "BASH_ENV=/evil", "", "line 1: BASH_ENV is reserved"},
		{"predefined", "CI_COMMIT_REF_NAME=x", "", "line 1: CI_COMMIT_REF_NAME is reserved: it is predefined"},
		{"predefined at run time", "CI_JOB_ID=x", "", "line 1: CI_JOB_ID is reserved"},
		{"our own", "CIC_DOTENV=x", "", "line 1: CIC_DOTENV is reserved"},
		{"only like a predefined one", "CI_APPLICATION_TAG=x", "CI_APPLICATION_TAG=x", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			vars, err := parseDotenv([]byte(tt.data), w.reserved)
			var got []string
			for _, v := range vars {
				got = append(got, v.name+"="+v.value)
			}
			if strings.Join(got, "|") != tt.want {
				t.Errorf("got %q, want %s", got, tt.want)
			}
			if tt.err == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
		})
	}
}

// FuzzDotenv: what is accepted can be put into an environment and into a script.
func FuzzDotenv(f *testing.F) {
	for _, seed := range []string{"A=b\n", " A = b\r\n", "\ufeffA=$B\nB=$A$$", "A=\x00", "PATH=x", "A='\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data string) {
		w := dotenvWorker(t)
		vars, err := parseDotenv([]byte(data), w.reserved)
		if err != nil {
			return
		}
		w.job.DotenvFrom = []string{"x"}
		w.vars = map[string]string{}
		w.inherit([][]variable{vars})
		for _, v := range vars {
			if !plan.IsIdentifier(v.name) || shellName(v.name) || strings.ContainsAny(v.value, "\x00\n") {
				t.Errorf("%q", v)
			}
			if !strings.Contains(w.exports, "export "+v.name+"='") {
				t.Errorf("%s is not exported: %q", v.name, w.exports)
			}
		}
		// Outside of quotes there is nothing but exports.
		rest := strings.ReplaceAll(w.exports, `'\''`, "")
		for i, part := range strings.Split(rest, "'") {
			if i%2 == 0 && strings.ContainsFunc(part, func(r rune) bool {
				return r != '=' && r != ' ' && r != '\n' && !plan.IsIdentifier("x"+string(r))
			}) {
				t.Errorf("outside of quotes: %q", part)
			}
		}
	})
}

// TestInherit holds whose value a job sees.
func TestInherit(t *testing.T) {
	text := func(s string) plan.Text { return plan.Text{Value: s, Template: true} }
	w := dotenvWorker(t)
	w.plan.Context.Given = []string{"GIVEN"}
	w.job.DotenvFrom = []string{"x"}
	w.job.Variables = plan.Variables{
		{Name: "BOTH", Value: plan.Literal("file")},
		{Name: "CIRCLE", Value: text("${CIRCLE}!")},
		{Name: "FILE", Value: plan.Literal("file")},
		{Name: "GIVEN", Value: plan.Literal("line")},
		{Name: "MENTIONS", Value: text("${BOTH} ${NEW} ${GIVEN} ${NONE} ${CI_COMMIT_REF_NAME} ${CI_JOB_ID} $$")},
		{Name: "PATH", Value: plan.Literal("/x")},
	}
	w.vars = map[string]string{"CI_JOB_ID": "7"}
	w.inherit([][]variable{
		{{"BOTH", "first"}, {"GIVEN", "report"}},
		{{"BOTH", "it's ${FILE}"}, {"NEW", "$$BOTH $(id) $LOOP"}, {"LOOP", "$NEW-"}},
	})
	if w.inheritErr != nil {
		t.Fatal(w.inheritErr)
	}
	for name, want := range map[string]string{
		"BOTH": "it's file", "FILE": "file", "GIVEN": "line", "CIRCLE": "!", "CI_JOB_ID": "7",
		"MENTIONS": "it's file " + w.vars["NEW"] + " line  main 7 $",
	} {
		if got := w.vars[name]; got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if !strings.HasPrefix(w.vars["NEW"], "$BOTH $(id) ") {
		t.Errorf("NEW = %q", w.vars["NEW"])
	}
	if _, ok := w.vars["PATH"]; ok {
		t.Error("PATH is for the script to set")
	}
	if !strings.Contains(w.exports, `export BOTH='it'\''s file'`) || strings.Contains(w.exports, "FILE=") || strings.Contains(w.exports, "GIVEN=") {
		t.Errorf("exports: %s", w.exports)
	}

	// A small report cannot fill the memory.
	w = dotenvWorker(t)
	w.job.DotenvFrom = []string{"x"}
	w.vars = map[string]string{}
	var bomb []variable
	for i := range 20 {
		bomb = append(bomb, variable{string(rune('A' + i)), strings.Repeat("$"+string(rune('B'+i)), 100)})
	}
	w.inherit([][]variable{append(bomb, variable{"U", "xxxx"})})
	if w.inheritErr == nil {
		t.Error("a bomb was accepted")
	}
}

// reporting makes the named job leave a dotenv report with this text, or none.
func reporting(t *testing.T, w *world, p *plan.Plan, job, text string) {
	t.Helper()
	for i := range p.Jobs {
		if j := &p.Jobs[i]; j.Name == job {
			j.Artifacts = &plan.Artifacts{When: "on_success", Reports: map[string][]plan.Text{"dotenv": {plan.Literal("build.env")}}}
		}
	}
	if w.collectTo == nil {
		w.collectTo = map[string]func(string) (*workspace.Manifest, error){}
	}
	w.collectTo[job] = func(dst string) (*workspace.Manifest, error) {
		if text == "" || filepath.Base(dst) != "dotenv" {
			return &workspace.Manifest{}, os.Mkdir(dst, 0o700)
		}
		if err := os.Mkdir(dst, 0o700); err != nil {
			return nil, err
		}
		m := &workspace.Manifest{Files: []workspace.File{{Path: "build.env", Type: "file", Size: int64(len(text))}}}
		return m, os.WriteFile(filepath.Join(dst, "build.env"), []byte(text), 0o600)
	}
}

func TestRunDotenv(t *testing.T) {
	for _, tt := range []struct{ name, report, states, image, text string }{
		{"a report", "IMG=busybox\n", "a=success b=success", "busybox", "export IMG='busybox'\n"},
		{"no report", "", "a=success b=success", "alpine", ""},
		{"a bad report", "IMG\n", "a=failed/script b=skipped", "", ""},
		{"a reserved name", "PATH=x\n", "a=failed/script b=skipped", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{script: programs{}}
				var text, image string
				w.script["b"] = func(_ context.Context, p Program, _ io.Writer) (int, error) {
					for _, e := range p.Env {
						if v, ok := strings.CutPrefix(e, "CIC_DOTENV="); ok {
							text = v
						}
					}
					return 0, nil
				}
				w.setup = map[string]func(context.Context, Spec) error{"b": func(_ context.Context, s Spec) error {
					image = s.Image
					if want := "IMG=" + image; !slices.Contains(s.Env, want) {
						t.Errorf("%s is not in the environment %q", want, s.Env)
					}
					return nil
				}}
				p := parsePlan(t, "1 a\n2 b")
				reporting(t, w, p, "a", tt.report)
				p.Jobs[1].DotenvFrom = []string{"a"}
				p.Jobs[1].Image.Name = plan.Text{Value: "${IMG}", Template: true}
				p.Jobs[1].Variables = plan.Variables{{Name: "IMG", Value: plan.Literal("alpine")}}
				h := newHarness(t, w)
				if got := states(h.run(t, t.Context(), p)); got != tt.states {
					t.Errorf("got %s, want %s", got, tt.states)
				}
				if image != tt.image || text != tt.text {
					t.Errorf("image %q, exports %q; want %q, %q", image, text, tt.image, tt.text)
				}
				for _, e := range h.events {
					if e.Type == EventJobStarted && e.Job == "b" && e.Image != tt.image {
						t.Errorf("the event tells the image %q", e.Image)
					}
				}
				if tt.image == "" && !strings.Contains(readLog(t, h, "a")+h.lastError(), "build.env") {
					t.Errorf("the file is not named: %s", h.lastError())
				}
			})
		})
	}
}

// lastError is the error of the job that failed.
func (h *harness) lastError() string {
	for _, e := range h.events {
		if e.Type == EventJobFinished && e.Status == StatusFailed {
			return e.Result.Error
		}
	}
	return ""
}

func TestRunEnvironment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		var env []string
		w.setup = map[string]func(context.Context, Spec) error{"a": func(_ context.Context, s Spec) error {
			env = s.Env
			return nil
		}}
		p := parsePlan(t, "1 a\n1 b")
		reporting(t, w, p, "a", "HOST=from.report\n")
		template := func(s string) plan.Text { return plan.Text{Value: s, Template: true} }
		url := template("https://${HOST}/")
		p.Jobs[0].Environment = &plan.Environment{Name: template("review/${CI_PIPELINE_ID}"), URL: &url}
		p.Jobs[0].Variables = plan.Variables{{Name: "HOST", Value: plan.Literal("from.file")}}
		empty := template("${CI_COMMIT_BRANCH}")
		p.Jobs[1].Environment = &plan.Environment{Name: empty}
		h := newHarness(t, w)
		res := h.run(t, t.Context(), p)
		if res.Jobs[0].EnvironmentURL != "https://from.report/" {
			t.Errorf("%+v", res.Jobs[0])
		}
		for _, want := range []string{
			"CI_ENVIRONMENT_NAME=review/1", "CI_ENVIRONMENT_TIER=development", "CI_ENVIRONMENT_URL=https://from.file/",
		} {
			if !slices.Contains(env, want) {
				t.Errorf("%s is missing in %q", want, env)
			}
		}
		if !slices.ContainsFunc(env, func(e string) bool { return strings.HasPrefix(e, "CI_ENVIRONMENT_SLUG=review-1-") }) {
			t.Errorf("no slug in %q", env)
		}
		if res.Jobs[1].Class != ClassConfig {
			t.Errorf("an environment without a name: %+v", res.Jobs[1])
		}
	})
}
