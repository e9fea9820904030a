package exec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/cic-ci/cic/plan"
)

// Executor runs plans. Runtime, Workspaces and Now are required.
type Executor struct {
	Runtime    Runtime
	Workspaces Workspaces
	// Mapped, if not nil, makes the workspaces of jobs that run in user namespaces: all
	// but those that were granted something.
	Mapped Workspaces
	// Now is the clock; its times must carry a monotonic reading, as those of time.Now do.
	Now func() time.Time
	// RunDir is where logs, artifacts and the journal go. Without one there are none.
	RunDir *RunDir
	// SourceMap tells of the lines of the plan's scripts where in the pipeline's files
	// they stand, for messages. It must be valid; nil where nobody knows.
	SourceMap *plan.SourceMap
	// Caches is where jobs' caches are kept. Without it there are none.
	Caches *Caches
	// Observer is told everything, by one goroutine. A slow one never stops a job:
	// it misses lines of output then, and is told how many.
	Observer func(Event)
	// Observed is called after events that came together, when no other waits.
	Observed func()
	// Jobs is how many jobs may run at once; 0 stands for [DefaultJobs].
	Jobs int
	// Variables are predefined variables known only at run time, such as CI_COMMIT_SHA.
	Variables map[string]string
	// Secrets are what jobs may ask for; nil for none.
	Secrets *Secrets
	// KeepFailed keeps the workspaces of failed jobs, for [Record.KeptJob].
	KeepFailed bool
	// Grace is the time between SIGTERM and SIGKILL; 0 stands for 10 s.
	Grace time.Duration
	// AfterScriptTimeout bounds an after_script; 0 stands for GitLab's 5 min.
	AfterScriptTimeout time.Duration
	// StopBudget is what an after_script gets when the run is interrupted; 0 stands for 30 s.
	StopBudget time.Duration
	// LogLimit is how many bytes of a job's output are kept; 0 stands for [DefaultLogLimit].
	LogLimit int64
	// Granted is what the command line lets jobs do, by name; see [ResolveGrants]. A
	// job that asks for more stops the run before it starts.
	Granted map[string]Granted
	// Unpinned says why an image, given by its reference, may not be run; it is empty of
	// one that may. Nil: any may; see [CheckPinned].
	Unpinned func(image string) (reason string)
	// Limits bound every job: a job without a limit of its own has these, and none
	// has more. Zero means no bound, and [DefaultPIDs] for processes.
	Limits plan.Resources
	// Resume is what an earlier run of the plan did, nil for a run from the beginning.
	Resume *Earlier
	// Reuse, if not nil, lets jobs be that have succeeded before with all that they
	// follow from unchanged.
	Reuse *Reuse
	// Manual are the full names of manual jobs that start like others; see [MatchManual].
	Manual []string
	// CompileChild compiles a dynamic child pipeline, with what jobs have left. Without
	// it a trigger job that asks for one fails.
	CompileChild func(ctx context.Context, r ChildRequest, diagnostics io.Writer) (*ChildPlan, error)
	// Ask, if there is one, asks a person whether a manual job is to start, one
	// question at a time. Jobs go on meanwhile, but the run does not end. It must
	// return when ctx is done; an error ends the questions.
	Ask func(ctx context.Context, q Question) (bool, error)
	// NoDelay starts delayed jobs at once.
	NoDelay bool
	// Timeout bounds the whole run; 0 stands for no limit.
	Timeout time.Duration
	// Project tells runs of one project from those of others: its directory.
	Project string
	// Others are the projects beside the run's own whose pipelines are in the plan, or may
	// come to be, by [plan.Project].Path.
	Others map[string]Tree
	// ClearDead, if there is one, ends what dead runs have left. It is called when a
	// resource group was waited for, as its holder may have died.
	ClearDead func(ctx context.Context) error
	// Kill, when closed, ends everything at once: no grace, no after_script, no artifacts.
	Kill <-chan struct{}
}

// errKilled is the cause of the end when Kill was closed.
var errKilled = errors.New("killed")

// run is the state of one run. Only the loop touches it; workers send messages.
type run struct {
	Executor
	plan *plan.Plan
	// kept is the plan without what finished jobs of an earlier run change in it.
	kept    *plan.Plan
	sched   *Schedule
	scripts map[string][]byte
	started time.Time
	// ctx ends when the run is interrupted, hard when it is killed.
	ctx, hard context.Context
	cancel    context.CancelCauseFunc

	messages  chan message
	workers   []*worker // by job, nil while there is none
	live      int       // workers that have not ended
	prepared  int       // of these, those that were not launched
	untidy    []*worker // their jobs finished, and nothing was removed yet
	results   []JobResult
	producers []producer // ascending
	dotenv    map[int][]variable
	adopted   []*adopted // by job, nil while none is
	stopped   string     // why no more jobs are started, empty while they are
	attempts  [][]Attempt
	// again are jobs whose next attempt waits for the end of the last one's worker,
	// with what that has left.
	again map[int]leftover

	alarms    []alarm // ascending
	timer     *time.Timer
	groups    map[string]*group
	groupOf   map[int]*group
	broken    map[int]error // why a job cannot run, to be told when it is launched
	questions []int         // manual jobs to ask about
	asking    bool
	helpers   int // goroutines beside the workers that will send a message

	result Result
	err    error

	observer, journal *pump
}

// Run runs the plan, which must be valid, and waits until nothing of it is left.
// scripts returns the bytes of a script, checked against its digest; all are
// read before the first job starts, so that a wrong one stops the run.
//
// Cancelling ctx ends the run in order: no job is started, those that run get
// SIGTERM, their after_script and artifacts of `when: always`.
//
// Without a result nothing was run: a bad script, a [*PolicyError], an
// [*UnpinnedError], or a [*SecretsError]. An error
// beside a result says that the run could not be recorded.
func (e *Executor) Run(ctx context.Context, p *plan.Plan, scripts func(plan.Script) ([]byte, error)) (*Result, error) {
	r, err := e.newRun(p)
	if err != nil {
		return nil, err
	}
	if err := r.readScripts(scripts); err != nil {
		return nil, err
	}
	if err := r.adoptAll(); err != nil {
		return nil, err
	}
	if r.Reuse != nil {
		if r.Reuse.store, err = OpenKeyStore(r.Reuse.StateDir); err != nil {
			return nil, fmt.Errorf("the keys of earlier jobs: %w", err)
		}
	}
	r.timer = time.NewTimer(time.Hour)
	defer r.timer.Stop()
	if r.Observer != nil {
		r.observer = newPump(func(events []Event) {
			for _, e := range events {
				r.Observer(e)
			}
			if r.Observed != nil {
				r.Observed()
			}
		})
	}
	var journalErr error
	if r.RunDir != nil {
		r.journal = newPump(func(events []Event) {
			if journalErr == nil {
				journalErr = r.RunDir.append(events)
			}
		})
	}
	_, dry := r.Runtime.(DryRun)
	r.emit(Event{Type: EventRunStarted, Run: r.runID(), DryRun: dry, Project: r.Project, Source: p.Source, Ref: p.Context.Ref, Stages: p.Stages, Jobs: len(p.Jobs)})
	r.execute(ctx)
	r.finish()
	if r.journal != nil {
		r.journal.close(nil)
		if journalErr != nil {
			r.err = errors.Join(r.err, fmt.Errorf("the journal could not be written: %w", journalErr))
		}
	}
	if r.observer != nil {
		r.observer.close(r.Kill)
	}
	return &r.result, r.Secrets.hideError(r.err)
}

// newRun makes the state of a run of a plan, unless policy or a missing secret
// forbids it.
func (e *Executor) newRun(p *plan.Plan) (*run, error) {
	if err := e.checkPlan(p); err != nil {
		return nil, err
	}
	if _, dry := e.Runtime.(DryRun); !dry {
		if err := e.checkProjects(p); err != nil {
			return nil, err
		}
		if err := e.Secrets.Check(p); err != nil {
			return nil, err
		}
	}
	kept := p
	if e.Resume != nil {
		p = e.Resume.resumed(p)
	}
	r := &run{
		Executor: e.withDefaults(), plan: p, kept: kept, started: e.Now(), messages: make(chan message),
		workers: make([]*worker, len(p.Jobs)), results: make([]JobResult, len(p.Jobs)), attempts: make([][]Attempt, len(p.Jobs)),
		dotenv: map[int][]variable{}, again: map[int]leftover{}, broken: map[int]error{},
		groups: map[string]*group{}, groupOf: map[int]*group{},
	}
	for i := range p.Jobs {
		r.results[i] = blankResult(&p.Jobs[i])
	}
	var err error
	r.sched, err = NewSchedule(p, e.played(p)...)
	return r, err
}

// DefaultJobs is how many jobs run at once where nobody says it: twice the processors.
func DefaultJobs() int { return 2 * runtime.NumCPU() }

func (e *Executor) withDefaults() Executor {
	c := *e
	if c.Jobs < 1 {
		c.Jobs = DefaultJobs()
	}
	if c.Grace == 0 {
		c.Grace = 10 * time.Second
	}
	if c.AfterScriptTimeout == 0 {
		c.AfterScriptTimeout = 5 * time.Minute
	}
	if c.StopBudget == 0 {
		c.StopBudget = 30 * time.Second
	}
	if c.LogLimit == 0 {
		c.LogLimit = DefaultLogLimit
	}
	return c
}

// runID is the id of the run, empty where nothing is kept.
func (r *run) runID() string {
	if r.RunDir == nil {
		return ""
	}
	return r.RunDir.ID
}

// readScripts holds the bytes that were checked, since the files may change.
func (r *run) readScripts(read func(plan.Script) ([]byte, error)) error {
	r.scripts = make(map[string][]byte, len(r.plan.Jobs))
	for i := range r.plan.Jobs {
		for _, s := range r.plan.Jobs[i].Scripts() {
			body, err := read(s)
			if err != nil {
				return err
			}
			r.scripts[s.Path] = body
		}
	}
	return nil
}

// execute is the loop: it starts what may start and waits for what happens.
func (r *run) execute(ctx context.Context) {
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	defer r.cancel(nil)
	hard, kill := context.WithCancelCause(context.WithoutCancel(ctx))
	r.hard = hard
	defer kill(nil)
	interrupted, killed := ctx.Done(), r.Kill
	var late <-chan time.Time
	if r.Timeout > 0 {
		limit := time.NewTimer(r.Timeout)
		defer limit.Stop()
		late = limit.C
	}
	if a := r.plan.AutoCancel; r.RunDir != nil && (a == nil || a.OnNewCommit != "none") {
		watched := make(chan struct{})
		go func() {
			defer close(watched)
			r.watch(r.ctx)
		}()
		defer func() {
			r.cancel(nil)
			<-watched
		}()
	}
	r.settle()
	for {
		r.dispatch()
		r.ask()
		if r.sched.Running()+r.sched.Ready()+r.sched.Holding() == 0 {
			r.abandon()
			if r.live+r.helpers == 0 {
				return
			}
		}
		select {
		case m := <-r.messages:
			r.handle(m)
		case <-r.nextAlarm():
			r.ring()
		case <-late:
			r.timeUp()
		case <-interrupted:
			interrupted = nil
			r.interrupt("the run was interrupted")
		case <-killed:
			killed = nil
			kill(errKilled)
			r.cancel(errKilled)
			r.interrupt("the run was interrupted")
		}
		r.settle()
	}
}
