package exec

import (
	"context"
	"fmt"
	"io"

	"github.com/cic-ci/cic/exec/workspace"
)

// DryRun is a [Runtime] and [Workspaces] that runs nothing: every job passes, at
// once, and says what it would have run. It needs no rights, no state directory
// and no Linux. With Executor.Jobs 1 the order of its output is fixed.
type DryRun struct{}

// Setup implements [Runtime].
func (DryRun) Setup(context.Context, Spec) (Sandbox, error) { return dryBox{}, nil }

// Open implements [Workspaces].
func (DryRun) Open(string) (Workspace, error) { return dryBox{}, nil }

type dryBox struct{}

func (dryBox) Run(_ context.Context, p Program, out io.Writer) (int, error) {
	_, err := fmt.Fprintf(out, "would run the %s with %s: %s\n", p.Name, p.Shell, ByteSize(int64(len(p.Body))))
	return 0, err
}

func (dryBox) Start(context.Context, func(int, string)) error { return nil }

func (dryBox) Hits() Hits           { return Hits{} }
func (dryBox) Written() []string    { return nil }
func (dryBox) Builds() string       { return "" }
func (dryBox) Mount([]string) error { return nil }
func (dryBox) Close() error         { return nil }

func (dryBox) Keep(string) ([]string, error) { return nil, nil }

func (dryBox) Collect(workspace.Patterns, string) (*workspace.Manifest, error) {
	return &workspace.Manifest{}, nil
}

func (dryBox) Unchanged(workspace.Patterns, string) (bool, error) { return false, nil }
