package exec

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cic-ci/cic/exec/workspace"
	"github.com/cic-ci/cic/plan"
)

// world is a Runtime and Workspaces in memory. What jobs do is up to functions
// by job id; without one a program ends at once with 0.
type world struct {
	setup   map[string]func(context.Context, Spec) error
	script  map[string]func(context.Context, Program, io.Writer) (int, error)
	after   map[string]func(context.Context, Program, io.Writer) (int, error)
	closing map[string]func() error
	collect map[string]func() (*workspace.Manifest, error)
	// collectTo is collect for what looks at where the files are to go.
	collectTo map[string]func(dst string) (*workspace.Manifest, error)
	written   map[string][]string
	hits      map[string]Hits
	// services is what the services of a job do, told what Start is.
	services map[string]func(ctx context.Context, services []Service, note func(int, string)) error
	// unchanged are the jobs that change nothing of what was restored.
	unchanged map[string]bool

	mu      sync.Mutex
	history []string // what happened, such as "setup A"
	layers  map[string][]string
	running int
	most    int
	open    int
}

func (w *world) record(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.history = append(w.history, fmt.Sprintf(format, args...))
}

// happened returns the position of an entry of the history, -1 if there is none.
func (w *world) happened(entry string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Index(w.history, entry)
}

type fakeBox struct {
	w        *world
	id       string
	services []Service
}

func (w *world) Setup(ctx context.Context, s Spec) (Sandbox, error) {
	w.record("setup %s", s.ID)
	if f := w.setup[s.ID]; f != nil {
		if err := f(ctx, s); err != nil {
			return nil, err
		}
	}
	w.mu.Lock()
	w.open++
	w.mu.Unlock()
	return &fakeBox{w, s.ID, s.Services}, nil
}

func (b *fakeBox) Run(ctx context.Context, p Program, out io.Writer) (int, error) {
	b.w.record("%s %s", p.Name, b.id)
	defer b.w.record("end of %s %s", p.Name, b.id)
	b.w.mu.Lock()
	b.w.running++
	b.w.most = max(b.w.most, b.w.running)
	b.w.mu.Unlock()
	defer func() {
		b.w.mu.Lock()
		b.w.running--
		b.w.mu.Unlock()
	}()
	f := b.w.script[b.id]
	if p.Name == "after_script" {
		f = b.w.after[b.id]
	}
	if f == nil {
		return 0, nil
	}
	return f(ctx, p, out)
}

func (b *fakeBox) Start(ctx context.Context, note func(int, string)) error {
	b.w.record("services %s", b.id)
	if f := b.w.services[b.id]; f != nil {
		return f(ctx, b.services, note)
	}
	return nil
}

func (b *fakeBox) Hits() Hits { return b.w.hits[b.id] }

func (b *fakeBox) Written() []string { return b.w.written[b.id] }

func (b *fakeBox) Close() error {
	b.w.record("close %s", b.id)
	b.w.mu.Lock()
	b.w.open--
	b.w.mu.Unlock()
	if f := b.w.closing[b.id]; f != nil {
		return f()
	}
	return nil
}

type fakeTree struct {
	w  *world
	id string
}

func (w *world) Open(id string) (Workspace, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open++
	return &fakeTree{w, id}, nil
}

func (t *fakeTree) Written() []string { return nil }

func (t *fakeTree) Builds() string { return "/builds/" + t.id }

func (t *fakeTree) Mount(layers []string) error {
	t.w.record("mount %s", t.id)
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	if t.w.layers == nil {
		t.w.layers = map[string][]string{}
	}
	t.w.layers[t.id] = layers
	return nil
}

func (t *fakeTree) Collect(p workspace.Patterns, dst string) (*workspace.Manifest, error) {
	t.w.record("collect %s %s", t.id, strings.Join(p.Paths, " "))
	if f := t.w.collect[t.id]; f != nil {
		return f()
	}
	if f := t.w.collectTo[t.id]; f != nil {
		return f(dst)
	}
	if err := os.Mkdir(dst, 0o700); err != nil {
		return nil, err
	}
	m := &workspace.Manifest{Files: []workspace.File{{Path: "f", Type: "file", Size: 3}}, Size: 3}
	return m, os.WriteFile(filepath.Join(dst, "f"), []byte("A=b"), 0o600)
}

func (t *fakeTree) Unchanged(p workspace.Patterns, layer string) (bool, error) {
	t.w.record("compare %s %s", t.id, strings.Join(p.Paths, " "))
	return t.w.unchanged[t.id], nil
}

func (t *fakeTree) Keep(dst string) ([]string, error) {
	t.w.record("keep %s", t.id)
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	return t.w.layers[t.id], os.Mkdir(dst, 0o700)
}

func (t *fakeTree) Close() error {
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	t.w.open--
	return nil
}

// exits is a program that ends with the code.
func exits(code int) func(context.Context, Program, io.Writer) (int, error) {
	return func(context.Context, Program, io.Writer) (int, error) { return code, nil }
}

// sleeps is a program that takes d and obeys SIGTERM.
func sleeps(d time.Duration) func(context.Context, Program, io.Writer) (int, error) {
	return func(ctx context.Context, _ Program, _ io.Writer) (int, error) {
		select {
		case <-time.After(d):
			return 0, nil
		case <-ctx.Done():
			return 143, context.Cause(ctx)
		}
	}
}

// harness runs a plan in a world.
type harness struct {
	*Executor
	world  *world
	events []Event
}

func newHarness(t *testing.T, w *world) *harness {
	t.Helper()
	dir, err := CreateRun(t.TempDir(), "run")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dir.Close(); err != nil {
			t.Error(err)
		}
	})
	h := &harness{world: w}
	h.Executor = &Executor{Runtime: w, Workspaces: w, Now: time.Now, RunDir: dir, Jobs: 4,
		Observer: func(e Event) { h.events = append(h.events, e) }}
	return h
}

func (h *harness) run(t *testing.T, ctx context.Context, p *plan.Plan) *Result {
	t.Helper()
	res, err := h.Run(ctx, p, func(s plan.Script) ([]byte, error) { return []byte(s.Path), nil })
	if err != nil {
		t.Fatal(err)
	}
	h.world.mu.Lock()
	defer h.world.mu.Unlock()
	if h.world.open != 0 {
		t.Errorf("%d sandboxes and workspaces were not closed", h.world.open)
	}
	checkEvents(t, h.events)
	return res
}

// checkEvents holds the order that [EventRunStarted] documents.
func checkEvents(t *testing.T, events []Event) {
	t.Helper()
	started, finished := map[string]bool{}, map[string]bool{}
	for i, e := range events {
		switch e.Type {
		case EventRunStarted:
			if i != 0 {
				t.Errorf("event %d is %s", i, e.Type)
			}
		case EventRunFinished:
			if i != len(events)-1 {
				t.Errorf("event %d of %d is %s", i, len(events), e.Type)
			}
		case EventJobStarted:
			if started[e.Job] || finished[e.Job] {
				t.Errorf("job %s starts twice", e.Job)
			}
			started[e.Job] = true
		case EventJobOutput:
			if !started[e.Job] || finished[e.Job] {
				t.Errorf("job %s prints while it does not run: %q", e.Job, e.Text)
			}
		case EventJobFinished:
			if finished[e.Job] {
				t.Errorf("job %s finishes twice", e.Job)
			}
			finished[e.Job] = true
		case EventJobRetried:
			if !started[e.Job] || finished[e.Job] {
				t.Errorf("job %s is retried while it does not run", e.Job)
			}
			delete(started, e.Job)
		case EventJobWaiting:
			if started[e.Job] || finished[e.Job] {
				t.Errorf("job %s waits after it has begun", e.Job)
			}
		case EventJobRequeued:
			if started[e.Job] || !finished[e.Job] {
				t.Errorf("job %s is requeued, which ran or has not finished", e.Job)
			}
			delete(finished, e.Job)
		}
	}
}

// states prints the jobs' states: A=success B=failed/timeout.
func states(r *Result) string {
	var out []string
	for _, j := range r.Jobs {
		s := j.Name + "=" + string(j.Status)
		if j.Class != "" {
			s += "/" + string(j.Class)
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}
