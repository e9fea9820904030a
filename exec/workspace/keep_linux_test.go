package workspace

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestKeep keeps the tree of a job, of which artifacts were collected, and makes
// it again, twice: what is written in it stays.
func TestKeep(t *testing.T) {
	for _, mode := range []mode{modeOverlay, modeCopy} {
		p := newProject(t, map[string]string{"kept": "1", "gone": "1", "dir/a": "1"}, nil)
		p.m.mode = mode
		first := p.job()
		shell(t, first.project(), "mkdir lib && echo art > lib/l")
		_, layer := p.collect(first, "lib")
		w := p.job(layer)
		shell(t, w.project(), "rm gone; rm -r dir; mkdir dir; echo 2 > dir/b; mkdir out; echo out > out/x; echo new > new")
		p.collect(w, "out")
		kept := filepath.Join(p.store, "kept")
		layers, err := w.Keep(kept)
		must(t, err)
		must(t, w.Close())
		if err := w.Mount(nil); err == nil {
			t.Error("a closed workspace was mounted")
		}
		for i, id := range []string{"again-1", "again-2"} {
			r, err := p.m.Reopen(id, kept, layers)
			must(t, err)
			shell(t, r.project(), "[ ! -e gone ] && [ ! -e dir/a ] && [ $(cat kept dir/b lib/l out/x new | tr '\\n' ,) = 12,art,out,new, ]")
			if i == 1 {
				shell(t, r.project(), "[ $(cat more) = more ]")
			}
			shell(t, r.project(), "echo more > more")
			again, err := r.Keep(kept)
			must(t, errors.Join(err, r.Close()))
			if mode == modeOverlay && len(again) != len(layers) {
				t.Errorf("%d layers became %d", len(layers), len(again))
			}
		}
		// What cannot be mounted gives the private layer back.
		if mode == modeOverlay {
			if _, err := p.m.Reopen("wrong", kept, []string{"/nosuch"}); err == nil {
				t.Error("a missing layer is no error")
			}
			if _, err := os.Stat(filepath.Join(kept, "more")); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestKeepShared: of a shared project nothing is moved.
func TestKeepShared(t *testing.T) {
	p := newProject(t, map[string]string{"a": "1"}, func(c *Config) { c.Shared = true })
	w := p.job()
	kept := filepath.Join(p.store, "kept")
	layers, err := w.Keep(kept)
	must(t, errors.Join(err, w.Close()))
	if _, err := os.Stat(kept); err == nil || len(layers) > 0 {
		t.Errorf("kept %v", layers)
	}
	r, err := p.m.Reopen("again", "", nil)
	must(t, err)
	shell(t, r.project(), "[ $(cat a) = 1 ]")
	must(t, r.Close())
	if _, err := p.m.Reopen("other", kept, nil); err == nil {
		t.Error("a private layer was taken for a shared project")
	}
}
