//go:build linux

package containerd

import (
	"archive/tar"
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"golang.org/x/sys/unix"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/plan"
)

const busybox = "/bin/busybox"

// stateDir is shared by all tests, and with it one containerd, which
// stays up as long as keeper is open.
var (
	stateDir string
	keeper   = sync.OnceValues(func() (*Runtime, error) {
		return Open(context.Background(), Config{StateDir: stateDir})
	})
	keeperUsed atomic.Bool
	runs       atomic.Int64
)

func TestMain(m *testing.M) {
	Main() // this program is the containerd and the shim of its tests, too
	os.Exit(runTests(m))
}

func runTests(m *testing.M) (code int) {
	dir, err := os.MkdirTemp("", "cic-containerd-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	stateDir = dir
	defer os.RemoveAll(dir)
	code = m.Run()
	if keeperUsed.Load() {
		if err := closeKeeper(); err != nil {
			fmt.Fprintln(os.Stderr, "after all tests:", err)
			return 1
		}
	}
	return code
}

// closeKeeper stops the containerd of the tests and looks for what it left.
func closeKeeper() error {
	r, err := keeper()
	if err != nil {
		return nil // The tests have said so.
	}
	errs := []error{r.Close()}
	if d := r.daemon; d != nil {
		pids, err := d.processes()
		if len(pids) > 0 {
			err = fmt.Errorf("containerd still runs: %v", pids)
		}
		errs = append(errs, err)
		if _, err := os.Stat(d.run); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("%s is left: %v", d.run, err))
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	errs = append(errs, err)
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, stateDir) || r.daemon != nil && strings.Contains(line, r.daemon.run) {
			errs = append(errs, errors.New("a mount is left: "+line))
		}
	}
	return errors.Join(errs...)
}

// unavailable skips a test, or fails it where everything must be there.
func unavailable(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv("CIC_REQUIRE_CONTAINERD") == "1" {
		t.Fatal("CIC_REQUIRE_CONTAINERD=1, but " + reason)
	}
	t.Skip(reason)
}

// requireContainerd skips a test where no container can be run.
func requireContainerd(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		unavailable(t, "containers need root")
	}
	f, err := elf.Open(busybox)
	if err != nil {
		unavailable(t, "no busybox for test images: "+err.Error())
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			unavailable(t, busybox+" is not static")
		}
	}
	keeperUsed.Store(true)
	if _, err := keeper(); err != nil {
		unavailable(t, "no containerd: "+err.Error())
	}
}

// open makes the runtime of a run of its own, which is closed with the test.
func open(t testing.TB, change func(*Config)) *Runtime {
	t.Helper()
	requireContainerd(t)
	cfg := Config{
		StateDir: stateDir,
		RunID:    fmt.Sprintf("t%d-%d", os.Getpid(), runs.Add(1)),
		RunDir:   t.TempDir(),
		Warn:     func(msg string) { t.Log("warning:", msg) },
	}
	if change != nil {
		change(&cfg)
	}
	r, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return r
}

// The images of the tests, all with busybox but the last two.
const (
	baseImage       = "cic.test/base:1"
	entrypointImage = "cic.test/entrypoint:1"
	userImage       = "cic.test/user:1"
	brokenImage     = "cic.test/broken-entrypoint:1"
	procImage       = "cic.test/workdir-in-proc:1"
	volumeImage     = "cic.test/volumes:1"
	emptyImage      = "cic.test/no-shell:1"
)

// loadImages puts the test images into the store, once.
var loadImages = sync.OnceValue(func() error {
	r, err := keeper()
	if err != nil {
		return err
	}
	for name, config := range map[string]func(*ggcr.Config){
		baseImage:       func(c *ggcr.Config) {},
		entrypointImage: func(c *ggcr.Config) { c.Entrypoint = []string{"./entry.sh", "given"}; c.WorkingDir = "/opt/tool" },
		userImage:       func(c *ggcr.Config) { c.User = "builder" },
		brokenImage:     func(c *ggcr.Config) { c.Entrypoint = []string{"/does/not/exist"} },
		procImage:       func(c *ggcr.Config) { c.WorkingDir = "/proc/self/fd/7" },
		volumeImage: func(c *ggcr.Config) {
			c.Volumes = map[string]struct{}{"../../../etc/cic-volume": {}, "/made": {}, "/proc/1": {}}
		},
		serverImage: serverConfig,
		emptyImage:  nil,
	} {
		image, err := testImage(config)
		if err != nil {
			return err
		}
		path := filepath.Join(stateDir, "image.tar")
		if err := writeArchive(path, name, image); err != nil {
			return err
		}
		if _, err := r.LoadImage(context.Background(), path, ""); err != nil {
			return err
		}
	}
	return nil
})

// testImage builds an image with busybox, or without anything for a nil config.
func testImage(config func(*ggcr.Config)) (ggcr.Image, error) {
	files := testFiles()
	if config == nil {
		files = []tarFile{{name: "data", text: "no programs here\n"}}
		config = func(*ggcr.Config) {}
	}
	data, err := tarOf(files)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil })
	if err != nil {
		return nil, err
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, err
	}
	file, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.Architecture, file.OS = runtime.GOARCH, "linux"
	file.Config.Env = []string{"FROM_IMAGE=yes", "PATH=/usr/bin:/bin"}
	config(&file.Config)
	return mutate.ConfigFile(image, file)
}

type tarFile struct {
	name, text, link string
	mode             int64
}

func testFiles() []tarFile {
	program, err := os.ReadFile(busybox)
	if err != nil {
		panic(err) // requireContainerd has looked at it.
	}
	files := []tarFile{
		{name: "bin/busybox", text: string(program), mode: 0o755},
		{name: "etc/passwd", text: "root:x:0:0:root:/root:/bin/sh\nbuilder:x:1000:1001::/home/builder:/bin/sh\n"},
		{name: "etc/group", text: "root:x:0:\nbuilders:x:1001:\nextra:x:1002:builder\n"},
		{name: "opt/tool/entry.sh", text: "#!/bin/sh\necho \"entry: $1 in $(pwd)\"\nshift\nexec \"$@\"\n", mode: 0o755},
	}
	for _, name := range []string{"sh", "sleep", "ls", "cat", "env", "id", "yes", "head", "mkdir", "ip", "true", "dd", "hostname", "touch", "nc"} {
		// Absolute links are what many images have, and they must not lead out of the image.
		files = append(files, tarFile{name: "bin/" + name, link: "/bin/busybox"})
	}
	return files
}

// writeTree writes files below a directory, where nothing is yet.
func writeTree(dir string, files []tarFile) error {
	for _, f := range files {
		path := filepath.Join(dir, f.name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		var err error
		if f.link != "" {
			err = os.Symlink(f.link, path)
		} else {
			err = writeFile(path, []byte(f.text), fs.FileMode(max(f.mode, 0o644)))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func tarOf(files []tarFile) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Mode: max(f.mode, 0o644), Size: int64(len(f.text)), Typeflag: tar.TypeReg}
		if f.link != "" {
			h.Typeflag, h.Linkname = tar.TypeSymlink, f.link
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := io.WriteString(w, f.text); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), w.Close()
}

// job describes a job of the tests; the zero value runs nothing in baseImage.
type job struct {
	image  string
	plan   plan.Job
	env    []string
	script string

	secrets []exec.Secret
}

// spec makes a job's directories.
func (j job) spec(t testing.TB) exec.Spec {
	t.Helper()
	requireContainerd(t)
	if err := loadImages(); err != nil {
		t.Fatal(err)
	}
	p := j.plan
	if p.Script.Shell == "" {
		p.Script.Shell = "sh"
	}
	spec := exec.Spec{
		ID: fmt.Sprintf("job-%d", runs.Add(1)), Job: &p, Image: j.image, Env: j.env,
		Builds: t.TempDir(), Scratch: t.TempDir(), Secrets: j.secrets,
	}
	if p.Resources != nil {
		spec.Limits = *p.Resources
	}
	if spec.Image == "" {
		spec.Image = baseImage
	}
	if err := os.Mkdir(filepath.Join(spec.Builds, "project"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(spec.Builds, "project"), 0o777); err != nil {
		t.Fatal(err)
	}
	return spec
}

func setup(t testing.TB, r *Runtime, j job) exec.Sandbox {
	t.Helper()
	s, err := r.Setup(t.Context(), j.spec(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close sandbox: %v", err)
		}
	})
	return s
}

func program(script string) exec.Program {
	return exec.Program{Name: "script", Body: []byte(script), Shell: "sh", Grace: time.Minute}
}

// run runs one script in a sandbox of its own.
func run(t testing.TB, r *Runtime, j job) (string, int) {
	t.Helper()
	s := setup(t, r, j)
	var out bytes.Buffer
	code, err := s.Run(t.Context(), program(j.script), &out)
	if err != nil {
		t.Fatalf("%v; output: %s", err, out.String())
	}
	return out.String(), code
}

// writeArchive writes an image as docker save does.
func writeArchive(path, ref string, image ggcr.Image) error {
	tag, err := name.NewTag(ref)
	if err != nil {
		return err
	}
	return tarball.WriteToFile(path, tag, image)
}

// sharedMount turns a directory into a mount point with shared propagation.
func sharedMount(t *testing.T, dir string) {
	t.Helper()
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if err := unix.Mount("", dir, "", unix.MS_SHARED, ""); err != nil {
		t.Fatal(err)
	}
}

// classOf is the class of an error, empty for one that has none.
func classOf(err error) exec.Class {
	var e *exec.Error
	if errors.As(err, &e) {
		return e.Class
	}
	return ""
}
