package plan

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestShow(t *testing.T) {
	p := plain(t)
	var b bytes.Buffer
	if err := Show(&b, p); err != nil {
		t.Fatal(err)
	}
	const want = `.gitlab-ci.yml for branch main into trunk, event merge_request_event
name: demo
auto_cancel on_job_failure: all
auto_cancel on_new_commit: interruptible
workflow rule 1. no: if: $NONE (NONE is not set)
workflow rule 2. yes: if: $KIND; changes: $DIR (changes taken to hold without a comparison, KIND = web, DIR = slow)
option artifacts: needs
4 jobs in 3 batches

Batch 1
  build                 build   alpine:3.20
  lint                  build   alpine:3.20

Batch 2
  test: [3.11, sqlite]  test    python:3.11  needs build, lint, delayed by 1m, may fail, privileged, privileged service, device /dev/kvm, host network

Batch 3
  deploy                deploy  alpine:3.20  manual, may fail

Secrets that must be given
  test: [3.11, sqlite]  KEY (a file), TOKEN

Variables that are not set here, and can be given as secrets
  test: [3.11, sqlite]  EDITOR, HOME

Excluded
  nightly  test  rules: no rule matched
      1. no: if: $CI_PIPELINE_SOURCE == "schedule" && $MODE (MODE = slow, NODE is not set)
      2. no: if: $KIND || $NONE; changes: src/** (no file that has changed matches, KIND = web, NONE is not set)

Warnings
  CIC2107: job "deploy": tags have no effect (ignored by comment)
`
	if got := b.String(); got != want {
		t.Errorf("got\n%s", got)
	}
}

// texts gives every script the same text.
func texts(text string) func(Script) ([]byte, error) {
	return func(Script) ([]byte, error) { return []byte(text), nil }
}

// TestShowTriggers: of a trigger job, what it starts stands in place of the image.
func TestShowTriggers(t *testing.T) {
	var b bytes.Buffer
	if err := Show(&b, full(t)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\n  downstream            deploy  starts nothing: it is another project's",
		"\n  child                 deploy  starts child.yml, waits for it  ",
		"\n  child/unit            test    alpine:3.20\n",
		"\n  generated             deploy  starts ci.yml of job build + a.yml + x.gitlab-ci.yml + https://x.example/a.yml + x.example/a/b@1 + c.yml of project a/b v1\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestShowJob(t *testing.T) {
	p := full(t)
	var b bytes.Buffer
	if err := ShowJob(&b, p, "test: [3.11, sqlite]", texts("#!/bin/sh\n\tprintf '\x1b[2J'\r\n")); err != nil {
		t.Fatal(err)
	}
	const want = `name                      test: [3.11, sqlite]
stage                     test
batch                     2 of 3
rules                     1. yes: changes: a; exists: b (changes taken to hold without a comparison)
image                     docker.io/library/python:3.11
                          entrypoint = env
                          user = 1000:1000
                          pull_policy = always
                          pull_policy = if-not-present
services                  [0].name = docker.io/library/postgres:15
                          [0].entrypoint = template /${CI_JOB_ID}
                          [0].alias = db
                          [0].command = postgres
                          [0].command = -c
                          [0].command = template port=${CI_JOB_ID}
                          [0].variables.POSTGRES_PASSWORD = x
                          [0].privileged = true
variables                 APP = "a <b> & 'c'\n"
                          WHO = template ${GITLAB_USER_NAME} $$
secrets                   [0].name = KEY
                          [0].file = true
                          [1].name = TOKEN
reads                     EDITOR
                          HOME
script                    jobs/test-3.11-sqlite-c6c7bf037aa1.sh
                          sha256 = 9ab8fabc8c72bfa0416414631e26bd71b01f9dfae98dcf4656b1e2d78307876a
                          shell = sh
after_script              jobs/test-3.11-sqlite-c6c7bf037aa1.after.sh
                          sha256 = 9ab8fabc8c72bfa0416414631e26bd71b01f9dfae98dcf4656b1e2d78307876a
                          shell = sh
needs                     build
                          lint (artifacts: false) (optional: true)
external_needs            [0].project = group/lib
                          [0].ref = main
                          [0].job = build
                          [1].pipeline = 7
                          [1].job = build
inputs                    jobs = build
artifacts                 untracked = true
                          when = on_success
caches                    [0].key = pip
                          [0].key_files = *.lock
                          [0].key_commits = true
                          [0].fallback_keys = default
                          [0].paths = .cache/
                          [0].untracked = true
                          [0].policy = pull-push
                          [0].when = on_success
dotenv_from               build
when                      delayed
start_in                  60 (1m)
allow_failure_exit_codes  3
                          137
retry                     max = 2
                          when = script_failure
                          exit_codes = 1
timeout                   600 (10m)
script_timeout            500 (8m20s)
after_script_timeout      60 (1m)
resource_group            db
environment               review/x
                          url = https://x.example
                          action = start
                          tier = testing
release                   tag_name = v1
                          name = One
                          description = "The\nfirst."
                          ref = main
                          tag_message = v1
                          milestones = m1
                          released_at = 2026-03-15
                          links[0].name = app
                          links[0].url = https://x.example/app
                          links[0].filepath = /app
                          links[0].type = package
resources                 cpus = 1.5
                          memory = 1073741824
                          disk = 2147483648
                          pids = 100
privileged                true
devices                   /dev/kvm
host_network              true
matrix                    DB = sqlite
                          PY = 3.11
coverage                  TOTAL.*?(\d+)%
interruptible             true

jobs/test-3.11-sqlite-c6c7bf037aa1.sh
  #!/bin/sh
  	printf '\x1b[2J'\r

jobs/test-3.11-sqlite-c6c7bf037aa1.after.sh
  #!/bin/sh
  	printf '\x1b[2J'\r
`
	if got := b.String(); got != want {
		t.Errorf("got\n%s", got)
	}
	gone := errors.New("gone")
	if err := ShowJob(&b, p, "build", func(Script) ([]byte, error) { return nil, gone }); !errors.Is(err, gone) {
		t.Errorf("a script that cannot be read: %v", err)
	}
	b.Reset()
	if err := ShowJob(&b, p, "nightly", nil); err != nil {
		t.Fatal(err)
	}
	const left = `name      nightly
stage     test
excluded  rules: no rule matched
rules     1. no: if: $CI_PIPELINE_SOURCE == "schedule" && $MODE (MODE = slow, NODE is not set)
          2. no: if: $KIND || $NONE; changes: src/** (no file that has changed matches, KIND = web, NONE is not set)
`
	if b.String() != left {
		t.Errorf("a job that is left out:\n%s", b.String())
	}
	if err := ShowJob(&b, p, "nobody", nil); err == nil || err.Error() != `the plan has no job "nobody"` {
		t.Errorf("got %v", err)
	}
}

// TestShowJobShowsEverything: whatever field of a job changes, the view does.
func TestShowJobShowsEverything(t *testing.T) {
	p := full(t)
	view := func() string {
		var b bytes.Buffer
		if err := ShowJob(&b, p, p.Jobs[2].Name, nil); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	before := view()
	eachField(reflect.ValueOf(&p.Jobs[2]).Elem(), "", func(path string, v reflect.Value) {
		undo := change(v)
		if view() == before {
			t.Errorf("a change of %s does not show", path)
		}
		undo()
	})
	if view() != before {
		t.Fatal("a change was not undone")
	}
}

// change gives v another value and returns how to undo it.
func change(v reflect.Value) (undo func()) {
	was := reflect.ValueOf(v.Interface())
	undo = func() { v.Set(was) }
	if !was.IsValid() {
		undo = func() { v.SetZero() }
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Float64:
		v.SetFloat(v.Float() + 1)
	default:
		if !v.IsZero() {
			v.SetZero()
			return undo
		}
		switch v.Kind() {
		case reflect.Struct:
			return change(v.Field(0))
		case reflect.Pointer:
			v.Set(reflect.New(v.Type().Elem()))
		case reflect.Slice:
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		case reflect.Map:
			v.Set(reflect.MakeMap(v.Type()))
			element := reflect.Zero(v.Type().Elem())
			if element.Kind() == reflect.Slice {
				element = reflect.MakeSlice(element.Type(), 1, 1)
			}
			v.SetMapIndex(reflect.ValueOf("x"), element)
		}
	}
	return undo
}

// TestShowEscapes: names are data; none can move the cursor or turn the text around.
func TestShowEscapes(t *testing.T) {
	j := simple("a\u202eb", "stage\u200b")
	p := assemble(t, j)
	p.Source = "x\x1b]0;y\a.yml"
	p.Excluded = []Excluded{{Name: "n\x9b", Stage: "s", Reason: "r\r"}}
	p.Warnings = []Warning{{Code: "CIC1000", Message: "m\x00\xff"}}
	var b bytes.Buffer
	if err := errors.Join(Show(&b, p), ShowJob(&b, p, j.Name, texts("\x1b[2J\xff"))); err != nil {
		t.Fatal(err)
	}
	for _, r := range b.String() {
		if r != '\n' && hidden(r) || r == '\ufffd' {
			t.Errorf("%U in\n%q", r, b.String())
		}
	}
	for _, want := range []string{`a\u202eb`, `stage\u200b`, `x\x1b]0;y\a.yml`, `m\x00\xff`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %s in\n%s", want, b.String())
		}
	}
}

func TestShowManyNeedsAndLongNames(t *testing.T) {
	long := strings.Repeat("n", 60)
	p := assemble(t, jobsOf("a/j1", "a/j2", "a/j3", "a/j4", "a/j5", "a/j6", "b/"+long+" j1 j2 j3 j4 j5 j6", "b/x j1")...)
	p.Jobs[7].When = "manual"
	p.Jobs = append(p.Jobs, jobsOf("b/alone", "b/staged *")...)
	p.Batches[0] = append(p.Batches[0], "alone")
	p.Batches[1] = append(p.Batches[1], "staged")
	var b bytes.Buffer
	if err := Show(&b, p); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"needs j1, j2, j3, j4, 2 more\n", "needs j1, manual, blocking\n", "10 jobs in 2 batches\n", "alpine:3.20  needs nothing\n", "  staged"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestSeconds(t *testing.T) {
	for n, want := range map[int64]string{1: "1s", 60: "1m", 90: "1m30s", 3600: "1h", 5400: "1h30m", 3601: "1h0m1s", 86400: "24h", 1 << 62: "4611686018427387904s"} {
		if got := seconds(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("closed") }

func TestShowReportsWriteErrors(t *testing.T) {
	p := full(t)
	if Show(failing{}, p) == nil || ShowJob(failing{}, p, "build", nil) == nil || (&Diff{}).WriteText(failing{}, nil) == nil {
		t.Error("an error of the writer was lost")
	}
}
