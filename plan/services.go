package plan

import (
	"regexp"
	"slices"
	"strings"
)

// reservedHosts no service can be called: they are those of the machine itself.
var reservedHosts = []string{"localhost", "ip6-localhost", "ip6-loopback"}

// serviceHost is what stands for a host in a hosts file.
var serviceHost = regexp.MustCompile(`^[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?$`)

// ServiceHosts are the host names that a job's services have so far. Names differ
// without regard to case, as in the domain name system. The zero value is ready.
type ServiceHosts struct{ taken map[string]bool }

// Claim gives the next service, in the order of the plan, its host names: those of
// its aliases and of its expanded image that are free. Aliases come first: they
// tell one postgres from another. lost are those that an earlier service has, and
// those that can be no host's name. A service without any name is not started.
// Source: specification section 22.
func (h *ServiceHosts) Claim(image string, aliases []string) (names, lost []string) {
	for _, name := range slices.Concat(aliases, imageHosts(image)) {
		key := strings.ToLower(name)
		switch {
		case slices.Contains(names, name):
		case !serviceHost.MatchString(name), h.taken[key], slices.Contains(reservedHosts, key):
			lost = append(lost, name)
		default:
			if h.taken == nil {
				h.taken = map[string]bool{}
			}
			h.taken[key] = true
			names = append(names, name)
		}
	}
	return names, lost
}

// imageHosts are the host names that follow from an image reference: its path
// without the registry's port, tag and digest, with slashes replaced by two
// underscores, and by dashes. What an image of Docker Hub is called in full does
// not count: the plan always has that form.
func imageHosts(image string) []string {
	ref, _, _ := strings.Cut(image, "@")
	ref = strings.TrimPrefix(strings.TrimPrefix(ref, "docker.io/"), "library/")
	if registry, rest, found := strings.Cut(ref, "/"); found {
		registry, _, _ = strings.Cut(registry, ":")
		ref = registry + "/" + rest
	}
	if i := strings.LastIndexByte(ref, ':'); i > strings.LastIndexByte(ref, '/') {
		ref = ref[:i]
	}
	names := []string{strings.ReplaceAll(ref, "/", "__")}
	if dashed := strings.ReplaceAll(ref, "/", "-"); dashed != names[0] {
		names = append(names, dashed)
	}
	return names
}
