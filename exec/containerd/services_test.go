//go:build linux

package containerd

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	ggcr "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/plan"
)

// serverImage exposes port 8080 and answers there with its environment's WHO.
const serverImage = "cic.test/server:1"

func serverConfig(c *ggcr.Config) {
	c.Cmd = []string{"sh", "-c", `echo "$WHO serves"; while :; do echo "$WHO" | nc -l -p 8080; done`}
	c.ExposedPorts = map[string]struct{}{"8080/tcp": {}, "5353/udp": {}}
}

// safeBuffer is what several goroutines may write to.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// serviceOf is a service of the server image under one name, who it says it is.
func serviceOf(name string) exec.Service {
	return exec.Service{
		Image: plan.Image{Name: plan.Literal(serverImage)}, Names: []string{name},
		Env: []string{"WHO=" + name}, Output: new(safeBuffer),
	}
}

func command(s exec.Service, script string) exec.Service {
	s.Command = []string{"sh", "-c", script}
	return s
}

// withServices runs a script beside services and returns its output, the notes,
// and the sandbox, which is closed with the test.
func withServices(t *testing.T, r *Runtime, script string, services ...exec.Service) (out string, notes *safeBuffer) {
	t.Helper()
	spec := job{}.spec(t)
	spec.Services = services
	s, err := r.Setup(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	notes = new(safeBuffer)
	if err := s.Start(t.Context(), func(i int, text string) { fmt.Fprintf(notes, "%d %s\n", i, text) }); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if code, err := s.Run(t.Context(), program(script), &b); err != nil || code != 0 {
		t.Fatalf("exit code %d, %v; output: %s", code, err, b.String())
	}
	return b.String(), notes
}

// ask is a shell function: what a server says, once it does.
const ask = `ask() {
	said=
	while [ -z "$said" ]; do said=$(nc $1 8080 </dev/null 2>/dev/null); done
	echo $said
}
`

// Two services on one port, under all their names, for the job and each other;
// the second program of a job sees them too.
func TestServices(t *testing.T) {
	for _, network := range []string{NetworkBridge, NetworkNone, NetworkHost} {
		t.Run(network, func(t *testing.T) {
			r := open(t, func(c *Config) { c.Network = network })
			one, two := serviceOf("one"), serviceOf("two")
			one.Names = append(one.Names, "uno")
			three := command(serviceOf("three"), ask+"echo three sees $(ask one) $(ask two); hostname; sleep 1000")
			three.Env = append(three.Env, "HEALTHCHECK_TCP_PORT=")
			three.Image.Name = plan.Literal(baseImage)
			out, notes := withServices(t, r, ask+"ask one; ask uno; ask two", one, two, three)
			if out != "one\none\ntwo\n" {
				t.Errorf("the job sees %q", out)
			}
			if got := notes.String(); got != "" {
				t.Errorf("notes: %s", got)
			}
			for deadline := time.Now().Add(time.Minute); !strings.HasSuffix(three.Output.(*safeBuffer).String(), "three sees one two\nthree\n"); time.Sleep(10 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("a service sees %q", three.Output)
				}
			}
			if got := one.Output.(*safeBuffer).String(); got != "one serves\n" {
				t.Errorf("the output of a service is %q", got)
			}
		})
	}
}

// A job's second program has the job's address again, and its services.
func TestServicesOfSecondProgram(t *testing.T) {
	r := open(t, nil)
	spec := job{}.spec(t)
	spec.Services = []exec.Service{serviceOf("one")}
	s, err := r.Setup(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Start(t.Context(), func(_ int, text string) { t.Error(text) }); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"script", "after_script"} {
		p := program(ask + "ask one; ip addr show eth0")
		p.Name = name
		var out bytes.Buffer
		if code, err := s.Run(t.Context(), p, &out); err != nil || code != 0 || !strings.HasPrefix(out.String(), "one\n") || !strings.Contains(out.String(), s.(*sandbox).host.Addr.String()+"/") {
			t.Errorf("%s: %d, %v, %s", name, code, err, out.String())
		}
	}
}

// A job that was granted the machine's network reaches its services, which are
// not in it.
func TestServicesOfGrantedJob(t *testing.T) {
	r := open(t, nil)
	spec := job{}.spec(t)
	spec.Granted.HostNetwork = true
	spec.Services = []exec.Service{serviceOf("one")}
	s, err := r.Setup(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Start(t.Context(), func(_ int, text string) { t.Error(text) }); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	code, err := s.Run(t.Context(), program(ask+"ask one; ls /sys/class/net"), &out)
	if err != nil || code != 0 || !strings.HasPrefix(out.String(), "one\n") || !strings.Contains(out.String(), "cic") {
		t.Errorf("%d, %v, %s", code, err, out.String())
	}
}

// What is not ready, or ends, is a note, and the job runs.
func TestServiceTrouble(t *testing.T) {
	r := open(t, func(c *Config) { c.ServiceTimeout = 200 * time.Millisecond })
	mute := command(serviceOf("mute"), "sleep 1000")
	local := command(serviceOf("local"), "busybox httpd -f -p 127.0.0.1:8080")
	gone := command(serviceOf("gone"), "echo sorry; exit 7")
	other := command(serviceOf("other"), "nc -l -p 9090")
	other.Env = append(other.Env, "HEALTHCHECK_TCP_PORT=9090")
	out, notes := withServices(t, r, "echo ran", mute, local, gone, other)
	if out != "ran\n" {
		t.Errorf("output %q", out)
	}
	for _, want := range []string{
		"0 is not ready after 200ms: port 8080 is not open\n",
		"1 is not ready after 200ms: port 8080 is not open to others, it listens on its loopback only\n",
		"2 ended with exit code 7 before the job did\n",
	} {
		if !strings.Contains(notes.String(), want) {
			t.Errorf("%q is missing in %s", want, notes)
		}
	}
	if strings.Contains(notes.String(), "3 ") {
		t.Errorf("a service that is ready: %s", notes)
	}
	if got := gone.Output.(*safeBuffer).String(); got != "sorry\n" {
		t.Errorf("its last words: %q", got)
	}
}

// A service that ends while the job runs is reported then.
func TestServiceEnds(t *testing.T) {
	r := open(t, nil)
	spec := job{}.spec(t)
	spec.Services = []exec.Service{command(serviceOf("one"), "nc -l -p 8080; exit 9")}
	s, err := r.Setup(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	told := make(chan string, 1)
	if err := s.Start(t.Context(), func(_ int, text string) { told <- text }); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ran := make(chan error, 1)
	go func() {
		_, err := s.Run(ctx, program("nc one 8080 </dev/null; sleep 1000"), new(bytes.Buffer))
		ran <- err
	}()
	select {
	case text := <-told:
		if text != "ended with exit code 9 before the job did" {
			t.Error(text)
		}
	case err := <-ran:
		t.Errorf("the job ended first: %v", err)
	}
	cancel()
	<-ran
}

func TestServiceErrors(t *testing.T) {
	r := open(t, nil)
	image := func(name string) exec.Service {
		s := serviceOf("db")
		s.Image = plan.Image{Name: plan.Literal(name), PullPolicy: []string{"never"}}
		return s
	}
	entrypoint := image(serverImage)
	entrypoint.Image.Entrypoint = words("/does/not/exist")
	port := image(serverImage)
	port.Env = []string{"HEALTHCHECK_TCP_PORT=http"}
	for _, test := range []struct {
		name    string
		service exec.Service
		class   exec.Class
		want    string
	}{
		{"no image", image("cic.test/none:1"), exec.ClassImagePull, "service db: image cic.test/none:1 is not in the store"},
		{"wrong entry point", entrypoint, exec.ClassConfig, `service db: image cic.test/server:1: cannot run "/does/not/exist"`},
		{"no command", image(emptyImage), exec.ClassConfig, "service db: image cic.test/no-shell:1 has no command of its own"},
		{"no port", port, exec.ClassConfig, `service db: HEALTHCHECK_TCP_PORT: "http" is no port`},
	} {
		t.Run(test.name, func(t *testing.T) {
			spec := job{}.spec(t)
			spec.Services = []exec.Service{serviceOf("fine"), test.service}
			_, err := r.Setup(t.Context(), spec)
			if classOf(err) != test.class || !strings.Contains(fmt.Sprint(err), test.want) {
				t.Errorf("got class %q: %v; want class %q: …%s…", classOf(err), err, test.class, test.want)
			}
		})
	}
	requireNothing(t, r)
}

// A service is restricted as a job is.
func TestServiceRestrictions(t *testing.T) {
	r := open(t, nil)
	s := command(serviceOf("one"), "cat /proc/self/status; touch /builds/project/made; nc -l -p 8080")
	out, _ := withServices(t, r, "ls", s)
	if out != "made\n" {
		t.Errorf("the project holds %q", out)
	}
	for _, want := range []string{"CapEff:\t00000000800405fb", "NoNewPrivs:\t1", "Seccomp:\t2"} {
		if !strings.Contains(s.Output.(*safeBuffer).String(), want) {
			t.Errorf("no %q in %s", want, s.Output)
		}
	}
}

// Jobs reach the machine and through it the world, but not each other; and
// without a network nothing.
func TestOutbound(t *testing.T) {
	listener, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			fmt.Fprintln(c, "the machine")
			c.Close()
		}
	}()
	var address string
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if ip := a.(*net.IPNet).IP; ip.To4() != nil && !ip.IsLoopback() {
			address = ip.String()
		}
	}
	if address == "" {
		unavailable(t, "the machine has no address but its loopback")
	}
	script := fmt.Sprintf("nc %s %d </dev/null || echo none", address, listener.Addr().(*net.TCPAddr).Port)
	for network, want := range map[string]string{NetworkBridge: "the machine\n", NetworkHost: "the machine\n", NetworkNone: "none\n"} {
		r := open(t, func(c *Config) { c.Network = network })
		out, _ := run(t, r, job{script: script})
		if !strings.HasSuffix(out, want) {
			t.Errorf("%s: got %q", network, out)
		}
	}
}
