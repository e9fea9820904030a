package workspace

import (
	"errors"
	"fmt"
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
		shell(t, w.project(), "rm gone; rm -r dir; mkdir -p dir/deep; echo 2 > dir/b; echo deep > dir/deep/d; mkdir out; echo out > out/x; echo new > new")
		p.collect(w, "out", "dir/deep")
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
			shell(t, r.project(), "[ ! -e gone ] && [ ! -e dir/a ] && [ $(cat kept dir/b dir/deep/d lib/l out/x new | tr '\\n' ,) = 12,deep,art,out,new, ]")
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
		// What cannot be mounted leaves the changes where they are.
		if mode == modeOverlay {
			if _, err := p.m.Reopen("wrong", kept, []string{"/nosuch"}); err == nil {
				t.Error("a missing layer is no error")
			}
			if _, err := os.Stat(filepath.Join(kept, keptChanges, "more")); err != nil {
				t.Error(err)
			}
		}
		p.m.mode = modeOverlay + modeCopy - mode
		if _, err := p.m.Reopen("other", kept, layers); err == nil {
			t.Error("made again in another mode")
		}
	}
}

// TestKeepSharesNothing edits files of a workspace that was kept in place, under
// every name that the job gave them: what was collected stays as it was.
func TestKeepSharesNothing(t *testing.T) {
	for _, mode := range []mode{modeOverlay, modeCopy} {
		p := newProject(t, nil, nil)
		p.m.mode = mode
		first := p.job()
		shell(t, first.project(), "mkdir lib; echo artifact > lib/l")
		_, layer := p.collect(first, "lib")
		w := p.job(layer)
		shell(t, w.project(), "mkdir out part; for f in out/moved part/linked; do echo artifact > $f; done; ln out/moved alias; echo no > part/not")
		_, artifacts := p.collect(w, "out", "part/linked")
		_, cache := p.collect(w, "out/moved", "lib")
		kept := filepath.Join(p.store, "kept")
		layers, err := w.Keep(kept)
		must(t, errors.Join(err, w.Close()))
		for _, id := range []string{"again-1", "again-2"} {
			r, err := p.m.Reopen(id, kept, layers)
			must(t, err)
			shell(t, r.project(), "for f in out/moved alias part/linked lib/l; do echo edited >> $f; chmod 600 $f; done")
			_, err = r.Keep(kept)
			must(t, errors.Join(err, r.Close()))
		}
		for _, path := range []string{artifacts + "/out/moved", artifacts + "/part/linked", cache + "/out/moved", cache + "/lib/l", layer + "/lib/l"} {
			info, err := os.Stat(path)
			must(t, err)
			if got := read(t, path); got != "artifact\n" || info.Mode().Perm() != 0o644 {
				t.Errorf("mode %d: %s was changed, by way of the workspace: %q, %v", mode, path, got, info.Mode())
			}
		}
	}
}

// TestKeepManyLayers: what the kernel does not take as layers of their own is there
// in a workspace that is made again, too.
func TestKeepManyLayers(t *testing.T) {
	p := newProject(t, map[string]string{"a": "1"}, nil)
	p.m.mounter.limit = 4
	var layers []string
	for i := range 6 {
		w := p.job(layers...)
		shell(t, w.project(), fmt.Sprintf("mkdir -p out; echo %d > out/%d", i, i))
		_, layer := p.collect(w, fmt.Sprintf("out/%d", i))
		layers = append(layers, layer)
	}
	w := p.job(layers...)
	kept := filepath.Join(p.store, "kept")
	layers, err := w.Keep(kept)
	must(t, errors.Join(err, w.Close()))
	r, err := p.m.Reopen("again", kept, layers)
	must(t, err)
	shell(t, r.project(), "[ $(cat out/* | tr -d '\\n') = 012345 ]")
	must(t, r.Close())
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
