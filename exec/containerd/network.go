//go:build linux

package containerd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/containerd/v2/pkg/oci"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/exec/network"
	"github.com/cic-ci/cic/exec/userns"
)

const (
	// jobHostname is the host name of a job's container; see [hostname].
	jobHostname = "cic"
	// jobAlias is how services reach their job, as on GitLab with a network for each build.
	jobAlias = "build"

	hostsFile  = "/etc/hosts"
	resolvFile = "/etc/resolv.conf"
)

// runNetwork is the network of the run, made when the first job needs it.
type runNetwork struct {
	once sync.Once
	net  *network.Network
	err  error

	resolvOnce sync.Once
	resolv     []byte
	resolvErr  error
}

func (n *runNetwork) close() error {
	if n.net == nil {
		return nil
	}
	return n.net.Close()
}

// inHostNetwork reports whether a job runs in the machine's own network.
func (r *Runtime) inHostNetwork(job exec.Spec) bool {
	return r.cfg.Network == NetworkHost || job.Granted.HostNetwork
}

// openNetwork opens the run's network. That it leads nowhere is a warning, once.
func (r *Runtime) openNetwork() (*network.Network, error) {
	r.network.once.Do(func() {
		r.network.net, r.network.err = network.Open(r.cfg.RunID)
		if r.network.err != nil {
			r.cfg.Warn(fmt.Sprintf("jobs have no network: %v; with --network host they use the machine's own", r.network.err))
			return
		}
		if r.cfg.Network == NetworkNone {
			return
		}
		found, err := r.network.net.Outbound()
		switch {
		case err != nil && r.cfg.Network == NetworkHost:
			r.cfg.Warn(fmt.Sprintf("services reach nothing but their jobs: %v", err))
		case err != nil:
			r.cfg.Warn(fmt.Sprintf("jobs reach nothing but their services: %v; with --network host they use the machine's own network", err))
		case found.Obstacle != nil:
			r.cfg.Warn(fmt.Sprintf("jobs may reach nothing but their services: %v; to let them: %s", found.Obstacle, found.Obstacle.Help))
		}
		if found.Switched {
			r.cfg.Progress("Packet forwarding (net.ipv4.ip_forward) is on now, for the jobs' network; it stays on after the run")
		}
	})
	return r.network.net, r.network.err
}

// connect gives the job a segment of the run's network, if it needs one, and
// writes what its container and its services look names up in.
func (s *sandbox) connect() error {
	inHost := s.r.inHostNetwork(s.job)
	if inHost && len(s.services) > 0 && userns.Entered() {
		return configError("use --network bridge or none, or run cic as root", "services of a job in the machine's network need root of the machine")
	}
	if len(s.services) > 0 || !inHost && s.r.cfg.Network == NetworkBridge {
		net, err := s.r.openNetwork()
		switch {
		case err == nil:
			s.segment, err = net.Segment(inHost)
		case len(s.services) == 0:
			err = nil // it has been said
		}
		if err != nil {
			return systemError("", err)
		}
	}
	if s.segment != nil && !inHost {
		var err error
		if s.host, err = s.segment.Host(); err != nil {
			return configError("", "%w", err)
		}
	}
	var names []network.Name
	for _, service := range s.services {
		host, err := s.segment.Host()
		if err != nil {
			return configError("", "%w", err)
		}
		service.host = host
		names = append(names, network.Name{Addr: host.Addr, Names: service.declared.Names})
	}
	if err := s.writeNames(names); err != nil {
		return systemError("", fmt.Errorf("write the hosts file: %w", err))
	}
	return nil
}

// writeNames writes hosts(5) and resolv.conf(5) for the job and its services,
// for each its own: it may change them.
func (s *sandbox) writeNames(services []network.Name) error {
	self := network.Name{Addr: network.Loopback, Names: []string{hostname(s.job.Services)}}
	if s.host != nil {
		self.Addr = s.host.Addr
	}
	var base []byte
	if s.r.inHostNetwork(s.job) {
		var err error
		if base, err = os.ReadFile(hostsFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := s.writeNameFiles(base, append([]network.Name{self}, services...)); err != nil {
		return err
	}
	// What was declared goes before what is added.
	seen := slices.Clone(services)
	if s.host != nil {
		seen = append(seen, network.Name{Addr: s.host.Addr, Names: append([]string{jobAlias}, self.Names...)})
	}
	for _, service := range s.services {
		if err := makeDir(service.job.Scratch, 0o755); err != nil {
			return err
		}
		if err := service.writeNameFiles(nil, seen); err != nil {
			return err
		}
	}
	return nil
}

// hostname is the host name of a job with these services: one that none of them
// has, which the job's own name would hide from it.
func hostname(services []exec.Service) string {
	taken := func(name string) bool {
		return slices.ContainsFunc(services, func(s exec.Service) bool {
			return slices.ContainsFunc(s.Names, func(n string) bool { return strings.EqualFold(n, name) })
		})
	}
	name := jobHostname
	for n := 2; taken(name); n++ {
		name = fmt.Sprintf("%s-%d", jobHostname, n)
	}
	return name
}

func (s *sandbox) writeNameFiles(base []byte, names []network.Name) error {
	resolv, err := s.r.resolvConf()
	if err != nil {
		return err
	}
	return errors.Join(
		writeFile(s.nameFile(hostsFile), network.HostsFile(base, names), 0o644), s.give(s.nameFile(hostsFile)),
		writeFile(s.nameFile(resolvFile), resolv, 0o644), s.give(s.nameFile(resolvFile)))
}

// nameFile is where a file of /etc is on the host.
func (s *sandbox) nameFile(path string) string { return nameFile(s.job, path) }

func nameFile(job exec.Spec, path string) string {
	return filepath.Join(job.Scratch, filepath.Base(path))
}

// resolvConf is the resolver configuration of containers with a network of their own.
func (r *Runtime) resolvConf() ([]byte, error) {
	r.network.resolvOnce.Do(func() {
		if r.cfg.Network == NetworkNone {
			return // who has no network resolves no names
		}
		r.network.resolv, r.network.resolvErr = network.ResolvConf()
		if errors.Is(r.network.resolvErr, network.ErrNoResolver) {
			r.cfg.Warn(fmt.Sprintf("jobs cannot resolve names: %v; with --network host they can", r.network.resolvErr))
			r.network.resolvErr = nil
		}
	})
	return r.network.resolv, r.network.resolvErr
}

// connectNetwork gives a container its network: one of its own, which is empty
// until it is attached to the job's segment, or the machine's.
func connectNetwork(s *oci.Spec, job exec.Spec, inHost bool) error {
	own := func(path string) specs.Mount {
		return specs.Mount{Type: "bind", Source: nameFile(job, path), Destination: path, Options: []string{"bind", "rw", "nosuid", "nodev", "noexec"}}
	}
	s.Mounts = append(s.Mounts, own(hostsFile))
	if !inHost {
		// The OCI runtime brings the loopback up.
		s.Mounts = append(s.Mounts, own(resolvFile))
		return nil
	}
	s.Linux.Namespaces = slices.DeleteFunc(s.Linux.Namespaces, func(ns specs.LinuxNamespace) bool {
		return ns.Type == specs.NetworkNamespace
	})
	if userns.Inside() {
		// A user namespace mounts only what shows a network of its own.
		for i, m := range s.Mounts {
			if m.Type == "sysfs" {
				s.Mounts[i] = specs.Mount{Type: "bind", Source: "/sys", Destination: m.Destination, Options: []string{"rbind", "ro", "nosuid", "nodev", "noexec"}}
			}
		}
	}
	if _, err := os.Stat(resolvFile); err == nil {
		s.Mounts = append(s.Mounts, readOnlyBind(resolvFile, resolvFile))
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
