package exec

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cic-ci/cic/plan"
)

// diskJob runs a job with a disk limit; write is what its script does.
func diskJob(t *testing.T, limit int64, write func(ctx context.Context, p Program, dir string) (int, error)) *JobResult {
	t.Helper()
	dir := t.TempDir()
	var result *JobResult
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, &world{
			written: map[string][]string{"a": {dir}},
			script: programs{"a": func(ctx context.Context, p Program, _ io.Writer) (int, error) {
				return write(ctx, p, dir)
			}},
		})
		p := parsePlan(t, "1 a")
		p.Jobs[0].Resources = &plan.Resources{Disk: limit}
		result = &h.run(t, t.Context(), p).Jobs[0]
	})
	return result
}

func fill(dir, name string, size int) error {
	return os.WriteFile(filepath.Join(dir, name), make([]byte, size), 0o600)
}

func TestDiskLimit(t *testing.T) {
	const limit = 1 << 20
	fails := func(t *testing.T, res *JobResult) {
		t.Helper()
		if res.Status != StatusFailed || res.Class != ClassScript || !strings.HasPrefix(res.Error, "disk limit: the job has written ") || !strings.HasSuffix(res.Error, " and may write 1 MiB") {
			t.Errorf("%s/%s: %s", res.Status, res.Class, res.Error)
		}
	}
	t.Run("a job that goes on is ended", func(t *testing.T) {
		res := diskJob(t, limit, func(ctx context.Context, _ Program, dir string) (int, error) {
			if err := fill(dir, "a", 2*limit); err != nil {
				return 0, err
			}
			return sleeps(time.Hour)(ctx, Program{}, nil)
		})
		fails(t, res)
		if res.Duration > time.Minute {
			t.Errorf("it took %s", res.Duration)
		}
	})
	t.Run("a job that does not listen is killed", func(t *testing.T) {
		var killed bool
		res := diskJob(t, limit, func(ctx context.Context, p Program, dir string) (int, error) {
			if err := fill(dir, "a", 2*limit); err != nil {
				return 0, err
			}
			<-ctx.Done()
			select {
			case <-p.Kill:
				killed = true
			case <-time.After(p.Grace):
			}
			return 137, context.Cause(ctx)
		})
		if fails(t, res); !killed {
			t.Error("it was given its grace")
		}
	})
	t.Run("a job that timed out keeps its grace", func(t *testing.T) {
		res := diskJob(t, limit, func(ctx context.Context, p Program, dir string) (int, error) {
			<-ctx.Done()
			select {
			case <-p.Kill:
				t.Error("it was killed")
			case <-time.After(p.Grace):
			}
			return 143, context.Cause(ctx)
		})
		if res.Class != ClassTimeout {
			t.Errorf("%s: %s", res.Class, res.Error)
		}
	})
	t.Run("a job that is done already fails", func(t *testing.T) {
		fails(t, diskJob(t, limit, func(_ context.Context, _ Program, dir string) (int, error) { return 0, fill(dir, "a", 2*limit) }))
	})
	t.Run("within the limit", func(t *testing.T) {
		res := diskJob(t, limit, func(ctx context.Context, _ Program, dir string) (int, error) {
			if err := fill(dir, "a", limit/2); err != nil {
				return 0, err
			}
			return sleeps(10*time.Second)(ctx, Program{}, nil)
		})
		if res.Status != StatusSuccess {
			t.Errorf("%s: %s", res.Status, res.Error)
		}
	})
	t.Run("the script's own failure", func(t *testing.T) {
		res := diskJob(t, limit, func(context.Context, Program, string) (int, error) { return 3, nil })
		if res.ExitCode != 3 || res.Class != ClassScript {
			t.Errorf("%+v", res)
		}
	})
	t.Run("what cannot be measured", func(t *testing.T) {
		res := diskJob(t, limit, func(_ context.Context, _ Program, dir string) (int, error) { return 0, os.Remove(dir) })
		if res.Class != ClassSystem || !strings.Contains(res.Error, "measure") {
			t.Errorf("%s: %s", res.Class, res.Error)
		}
	})
}
