//go:build linux

package containerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/plan"
)

func TestRun(t *testing.T) {
	r := open(t, nil)
	clear := words("")
	for _, test := range []struct {
		name string
		job  job
		want string
		code int
	}{
		{"output", job{script: "echo hello"}, "hello\n", 0},
		{"exit code", job{script: "exit 3"}, "", 3},
		{"exit in the middle", job{script: "echo a; exit 0; echo b"}, "a\n", 0},
		{"cwd", job{script: "pwd"}, "/builds/project\n", 0},
		{"killed by itself", job{script: "kill -KILL $$"}, "", 137},
		{"terminated by itself", job{script: "kill -TERM $$"}, "", 143},
		{"own trap", job{script: "trap 'echo caught; exit 9' TERM; kill -TERM $$; exit 1"}, "caught\n", 9},
		{"replaced", job{script: "exec sh -c 'echo new; exit 5'"}, "new\n", 5},
		{"closed output", job{script: "echo a; exec >&- 2>&-; exit 4"}, "a\n", 4},
		{"background child", job{script: "sleep 1000 & echo done"}, "done\n", 0},
		{"child ignores signals", job{script: "(trap '' TERM HUP; sleep 1000) & exit 6"}, "", 6},
		{"stdin", job{script: "read line; echo \"$?\"; cat"}, "1\n", 0},
		{"order of streams", job{script: "for i in 1 2 3 4 5 6 7 8 9; do echo o$i; echo e$i >&2; done"},
			"o1\ne1\no2\ne2\no3\ne3\no4\ne4\no5\ne5\no6\ne6\no7\ne7\no8\ne8\no9\ne9\n", 0},
		{"job env over image env", job{env: []string{"FROM_IMAGE=no", "X=a b\nc'"}, script: `echo "$FROM_IMAGE $X $HOME"`}, "no a b\nc' /root\n", 0},
		{"image env", job{script: `echo "$FROM_IMAGE $PATH"`}, "yes /usr/bin:/bin\n", 0},
		{"root", job{script: "id -u; id -g; umask"}, "0\n0\n0022\n", 0},
		{"image user", job{image: userImage, script: `id -u; id -g; id -G; echo $HOME; touch here && echo ok`}, "1000\n1001\n1001 1002\n/home/builder\nok\n", 0},
		{"plan user", job{plan: plan.Job{Image: plan.Image{User: "12:builders"}}, script: `id -u; id -g; echo $HOME`}, "12\n1001\n/\n", 0},
		{"entrypoint", job{image: entrypointImage, script: "pwd"}, "entry: given in /opt/tool\n/builds/project\n", 0},
		{"entrypoint cleared", job{image: entrypointImage, plan: plan.Job{Image: plan.Image{Entrypoint: clear}}, script: "pwd"}, "/builds/project\n", 0},
		{"entrypoint replaced", job{plan: plan.Job{Image: plan.Image{Entrypoint: words("env", "ADDED=1")}}, script: "echo $ADDED"}, "1\n", 0},
		{"descriptors", job{script: "ls /proc/self/fd"}, "0\n1\n2\n3\n", 0}, // 3 is that of ls.
		{"hostname", job{script: "hostname"}, "cic\n", 0},
		{"programs are read-only", job{script: "touch /.cic/x 2>/dev/null || echo refused"}, "refused\n", 0},
		{"processes", job{script: `echo /proc/[0-9]* | { read a b; echo $a; }`}, "/proc/1\n", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			out, code := run(t, r, test.job)
			// Shells may remark on how a child ended.
			out = strings.NewReplacer("Killed\n", "", "Terminated\n", "").Replace(out)
			if out != test.want || code != test.code {
				t.Errorf("got %q and exit code %d, want %q and %d", out, code, test.want, test.code)
			}
		})
	}
}

func TestNetwork(t *testing.T) {
	links, err := os.ReadFile("/proc/self/net/dev")
	if err != nil {
		t.Fatal(err)
	}
	// The links of other runs come and go meanwhile.
	const script = "cat /proc/self/net/dev | { read a; read b; while read name rest; do case $name in cic*) ;; *) echo $name ;; esac; done; }"
	own := regexp.MustCompile(`(?m)^ *cic\d+:.*\n`)
	count := func(s string) int { return strings.Count(own.ReplaceAllString(s, ""), "\n") }
	host := open(t, func(c *Config) { c.Network = NetworkHost })
	if out, _ := run(t, host, job{script: script}); count(out) != count(string(links))-2 {
		t.Errorf("the host's network shows %q, the host has\n%s", out, links)
	}
	none := open(t, func(c *Config) { c.Network = NetworkNone })
	out, _ := run(t, none, job{script: script + "; ip addr show lo"})
	if !strings.Contains(out, "lo:") || !strings.Contains(out, "127.0.0.1") || strings.Contains(out, "eth0") {
		t.Errorf("no network shows %q", out)
	}
}

// A sandbox is made before its workspace is mounted, and sees it all the same.
func TestWorkspaceMountedLate(t *testing.T) {
	r := open(t, nil)
	spec := job{}.spec(t)
	sharedMount(t, spec.Builds)
	s, err := r.Setup(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	project := filepath.Join(spec.Builds, "project")
	if err := unix.Mount("tmpfs", project, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(project, unix.MNT_DETACH)
	if err := os.WriteFile(filepath.Join(project, "late"), []byte("seen\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if code, err := s.Run(t.Context(), program("cat late; echo made >made"), &out); err != nil || code != 0 || out.String() != "seen\n" {
		t.Fatalf("got %q, %d, %v", out.String(), code, err)
	}
	if data, err := os.ReadFile(filepath.Join(project, "made")); err != nil || string(data) != "made\n" {
		t.Errorf("got %q, %v", data, err)
	}
}

// The second program sees the files of the first, anywhere, and none of its processes.
func TestSecondProgram(t *testing.T) {
	for _, image := range []string{baseImage, "mapped"} {
		t.Run(image, func(t *testing.T) {
			r := open(t, func(c *Config) { c.Images = []Mapping{{Pattern: "*/mapped:*", Kind: TargetHost}} })
			s := setup(t, r, job{image: image})
			var out bytes.Buffer
			code, err := s.Run(t.Context(), program("echo kept >/root-file; sleep 1000 & exit 2"), &out)
			if err != nil || code != 2 {
				t.Fatal(code, err)
			}
			after := program(`cat /root-file; echo "$CI_JOB_STATUS"; for p in /proc/[0-9]*; do read -r c <$p/comm; echo $c; done`)
			after.Name, after.Env = "after_script", []string{"CI_JOB_STATUS=it's failed"}
			if code, err = s.Run(t.Context(), after, &out); err != nil || code != 0 {
				t.Fatal(code, err)
			}
			if got := out.String(); !strings.HasPrefix(got, "kept\nit's failed\n") || strings.Contains(got, "sleep") {
				t.Errorf("got %q", got)
			}
		})
	}
}

// signalWriter calls back when the output holds a line.
type signalWriter struct {
	bytes.Buffer
	line string
	then func()
}

func (w *signalWriter) Write(p []byte) (int, error) {
	w.Buffer.Write(p)
	if w.then != nil && strings.Contains(w.String(), w.line+"\n") {
		w.then()
		w.then = nil
	}
	return len(p), nil
}

// TestKilledFromOutside: that a container is killed, by whoever can, is no failure
// of the job's script; that the script or all its processes are, is.
func TestKilledFromOutside(t *testing.T) {
	r := open(t, nil)
	first := func(s exec.Sandbox) error { return unix.Kill(int(s.(*sandbox).task.Pid()), unix.SIGKILL) }
	for _, test := range []struct {
		name, script string
		kill         func(exec.Sandbox) error
		outside      bool
	}{
		{"the first process", "echo ready; sleep 1000", first, true},
		{"by containerd", "echo ready; sleep 1000", func(s exec.Sandbox) error {
			return s.(*sandbox).task.Kill(t.Context(), unix.SIGKILL)
		}, true},
		{"the script by itself", "echo ready; kill -KILL $$", nil, false},
		{"all that it can reach", "echo ready; kill -KILL -1; kill -KILL 1; kill -KILL $$", nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := setup(t, r, job{})
			out := &signalWriter{line: "ready", then: func() {
				if test.kill != nil {
					if err := test.kill(s); err != nil {
						t.Error(err)
					}
				}
			}}
			code, err := s.Run(t.Context(), program(test.script), out)
			if code != 137 || (classOf(err) == exec.ClassSystem) != test.outside || (err != nil) != test.outside {
				t.Errorf("%d, %v", code, err)
			}
			if test.outside && !strings.Contains(err.Error(), "killed from outside") {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestCancel(t *testing.T) {
	r := open(t, nil)
	cause := errors.New("the reason")
	for _, test := range []struct {
		name, script string
		grace        time.Duration
		kill         bool
		want         string
		code         int
	}{
		// A grace period of a minute passes only if SIGTERM was of no use: then the test takes
		// long and reports another exit code.
		{"waiting for a command", "echo ready; sleep 1000", time.Minute, false, "ready\n", 143},
		{"busy shell", "echo ready; while :; do :; done", time.Minute, false, "ready\n", 143},
		{"own clean-up", "trap 'echo cleaned; exit 7' TERM; echo ready; sleep 1000", time.Minute, false, "ready\ncleaned\n", 7},
		{"commands in a row", "trap : TERM; echo ready; sleep 1000; echo more; sleep 0", time.Minute, false, "ready\nmore\n", 0},
		{"ignores TERM", "trap '' TERM; echo ready; sleep 1000", time.Millisecond, false, "ready\n", 137},
		{"killed at once", "trap '' TERM; echo ready; sleep 1000", time.Hour, true, "ready\n", 137},
		{"floods", "trap '' TERM; echo ready; yes >/dev/null", 0, false, "ready\n", 137},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := setup(t, r, job{})
			ctx, cancel := context.WithCancelCause(t.Context())
			p := program(test.script)
			p.Grace = test.grace
			kill := make(chan struct{})
			if test.kill {
				close(kill)
				p.Kill = kill
			}
			out := &signalWriter{line: "ready", then: func() { cancel(cause) }}
			code, err := s.Run(ctx, p, out)
			if !errors.Is(err, cause) {
				t.Errorf("error is %v, want the context's cause", err)
			}
			got := strings.NewReplacer("Killed\n", "", "Terminated\n", "").Replace(out.String())
			if code != test.code || got != test.want {
				t.Errorf("got %q and exit code %d, want %q and %d", got, code, test.want, test.code)
			}
			var after bytes.Buffer
			p = program("echo still usable")
			if code, err := s.Run(t.Context(), p, &after); err != nil || code != 0 || after.String() != "still usable\n" {
				t.Errorf("afterwards: %q, %d, %v", after.String(), code, err)
			}
		})
	}
	t.Run("before the start", func(t *testing.T) {
		s := setup(t, r, job{})
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		var out bytes.Buffer
		if code, err := s.Run(ctx, program("echo ran"), &out); !errors.Is(err, cause) || code != 143 || out.Len() > 0 {
			t.Errorf("got %q, %d, %v", out.String(), code, err)
		}
		if _, err := r.Setup(ctx, job{}.spec(t)); classOf(err) != exec.ClassCanceled || !errors.Is(err, cause) {
			t.Errorf("set-up: %v", err)
		}
	})
}

// countingWriter counts, and fails after a while if told to.
type countingWriter struct {
	n, failAfter int64
}

func (w *countingWriter) Write(p []byte) (int, error) {
	w.n += int64(len(p))
	if w.failAfter > 0 && w.n > w.failAfter {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

func TestFlood(t *testing.T) {
	r := open(t, nil)
	s := setup(t, r, job{})
	const size = 100 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	w := new(countingWriter)
	code, err := s.Run(t.Context(), program(fmt.Sprintf("yes | head -c %d", size)), w)
	runtime.ReadMemStats(&after)
	if err != nil || code != 0 || w.n != size {
		t.Errorf("got %d bytes, exit code %d, %v", w.n, code, err)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
		t.Errorf("allocated %d bytes", grown)
	}
	w = &countingWriter{failAfter: 1000}
	if code, err := s.Run(t.Context(), program("yes | head -c 1000000; exit 3"), w); code != 3 || !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("with a failing writer: exit code %d, %v", code, err)
	}
}

func TestShellFallback(t *testing.T) {
	r := open(t, nil)
	s := setup(t, r, job{plan: plan.Job{Script: plan.Script{Shell: "bash"}}})
	p := program("[[ a = a ]] && echo yes")
	p.Shell = "bash"
	var out bytes.Buffer
	if code, err := s.Run(t.Context(), p, &out); code != 0 || err != nil {
		t.Errorf("exit code %d, %v", code, err)
	}
	if want := "cic: image cic.test/base:1 has no bash: /bin/sh runs the script\nyes\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

// An entry point that does not run its arguments must not pass for a job that did.
func TestEntrypointSwallows(t *testing.T) {
	r := open(t, nil)
	for code := range 2 {
		entrypoint := words("sh", "-c", fmt.Sprintf("echo mine; exit %d", code))
		s := setup(t, r, job{plan: plan.Job{Image: plan.Image{Entrypoint: entrypoint}}})
		var out bytes.Buffer
		_, err := s.Run(t.Context(), program("echo never"), &out)
		want := fmt.Sprintf(`its entry point "sh" ended with exit code %d before it ran the script`, code)
		if classOf(err) != exec.ClassConfig || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("got class %q: %v; want …%s…", classOf(err), err, want)
		}
		if out.String() != "mine\n" {
			t.Errorf("output %q", out.String())
		}
	}
}

// What an entry point prints comes before what the job does, and where it sends its
// output to, the job's goes too.
func TestEntrypointOutput(t *testing.T) {
	r := open(t, nil)
	for _, test := range []struct{ name, entrypoint, want string }{
		{"order", `echo one; exec "$@"`, "one\njob\nerror\n"},
		{"filter", `exec 3>&1 >/log 2>&1; "$@"; code=$?; while read -r l; do echo "> $l"; done </log >&3; exit $code`, "> job\n> error\n"},
		{"silence", `exec >/dev/null 2>&1; exec "$@"`, ""},
	} {
		s := setup(t, r, job{plan: plan.Job{Image: plan.Image{Entrypoint: words("sh", "-c", test.entrypoint, "sh")}}})
		var out bytes.Buffer
		code, err := s.Run(t.Context(), program("echo job; echo error >&2; exit 3"), &out)
		if err != nil || code != 3 || out.String() != test.want {
			t.Errorf("%s: got %q, exit code %d, %v; want %q", test.name, &out, code, err, test.want)
		}
	}
}

func TestSetupErrors(t *testing.T) {
	r := open(t, nil)
	for _, test := range []struct {
		name  string
		job   job
		class exec.Class
		want  string
	}{
		{"no sh", job{image: emptyImage}, exec.ClassConfig, `image cic.test/no-shell:1 has no shell "sh"; cic needs a POSIX sh`},
		{"no user", job{plan: plan.Job{Image: plan.Image{User: "nobody"}}}, exec.ClassConfig, `no user "nobody"`},
		{"no group", job{plan: plan.Job{Image: plan.Image{User: "builder:staff"}}}, exec.ClassConfig, `no group "staff"`},
		{"overflowing uid", job{plan: plan.Job{Image: plan.Image{User: "4294967296"}}}, exec.ClassConfig, `user id "4294967296"`},
		{"broken entrypoint", job{image: brokenImage}, exec.ClassConfig, `cannot run "/does/not/exist"`},
		{"workdir in proc", job{image: procImage}, exec.ClassConfig, "does not allow"},
		{"never pulled", job{image: "cic.test/none:1", plan: plan.Job{Image: plan.Image{PullPolicy: []string{"never"}}}}, exec.ClassImagePull, "not in the store"},
		{"bad reference", job{image: "UPPER CASE"}, exec.ClassConfig, "reference"},
		{"bad policy", job{plan: plan.Job{Image: plan.Image{PullPolicy: []string{"sometimes"}}}}, exec.ClassConfig, "sometimes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := r.Setup(t.Context(), test.job.spec(t))
			if classOf(err) != test.class || !strings.Contains(fmt.Sprint(err), test.want) {
				t.Errorf("got class %q: %v; want class %q: …%s…", classOf(err), err, test.class, test.want)
			}
		})
	}
	requireNothing(t, r)
}
