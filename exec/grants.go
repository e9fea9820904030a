package exec

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/cic-ci/cic/plan"
)

// The privileges of a [Grant]; a device is granted by [privilegeDevice] and its path.
const (
	privilegeAll         = "privileged"
	privilegeHostNetwork = "host-network"
	privilegeDevice      = "device:"
)

// Grant lets jobs do what a plan can only ask for. It names jobs, never images:
// a name that an image's publisher chooses must not give rights on this machine.
type Grant struct {
	// Privilege is privileged (the job's container and its services, as far as the
	// plan asks), host-network, or device:/dev/PATH.
	Privilege string
	// Jobs are names of jobs, as given: separated by commas, which may also be
	// part of a name.
	Jobs string
}

// ParseGrant reads PRIVILEGE=JOB[,JOB...].
func ParseGrant(s string) (Grant, error) {
	privilege, jobs, ok := strings.Cut(s, "=")
	if !ok || jobs == "" {
		return Grant{}, fmt.Errorf("%q is not of the form PRIVILEGE=JOB[,JOB...]", s)
	}
	device, isDevice := strings.CutPrefix(privilege, privilegeDevice)
	switch {
	case isDevice && (path.Clean(device) != device || !strings.HasPrefix(device, "/dev/")):
		return Grant{}, fmt.Errorf("%q is not the path of a device below /dev", device)
	case isDevice, privilege == privilegeAll, privilege == privilegeHostNetwork:
		return Grant{Privilege: privilege, Jobs: jobs}, nil
	}
	return Grant{}, fmt.Errorf("%q cannot be granted: it is %s, %s or %s/dev/PATH", privilege, privilegeAll, privilegeHostNetwork, privilegeDevice)
}

// ResolveGrants gives what is granted by job. A grant for a job that the plan
// does not have, or that does not ask for it, is an error: it would lie in wait
// for a plan that does.
func ResolveGrants(p *plan.Plan, grants []Grant) (map[string]Granted, error) {
	jobs := make(map[string]*plan.Job, len(p.Jobs))
	for i := range p.Jobs {
		jobs[p.Jobs[i].Name] = &p.Jobs[i]
	}
	granted := make(map[string]Granted)
	for _, grant := range grants {
		readings := nameLists(grant.Jobs, jobs)
		switch len(readings) {
		case 0:
			return nil, fmt.Errorf("grant of %s: %w", grant.Privilege, unknownIn(p, grant.Jobs, jobs))
		case 1:
		default:
			return nil, fmt.Errorf("grant of %s: %q can be read as different jobs; repeat the flag for each", grant.Privilege, grant.Jobs)
		}
		for _, name := range readings[0] {
			if !slices.Contains(requests(jobs[name]), grant.Privilege) {
				return nil, fmt.Errorf("job %q does not ask for %s, which is granted to it", name, grant.Privilege)
			}
			granted[name] = granted[name].with(grant.Privilege)
		}
	}
	return granted, nil
}

// nameLists are the ways, at most two of them, to read text as names of jobs
// with commas between.
func nameLists(text string, jobs map[string]*plan.Job) (readings [][]string) {
	if jobs[text] != nil {
		readings = append(readings, []string{text})
	}
	for i := 0; i < len(text) && len(readings) < 2; i++ {
		if text[i] != ',' || jobs[text[:i]] == nil {
			continue
		}
		for _, rest := range nameLists(text[i+1:], jobs) {
			readings = append(readings, append([]string{text[:i]}, rest...))
		}
	}
	return readings
}

// unknownIn tells of the first name in a list that no job has.
func unknownIn(p *plan.Plan, list string, jobs map[string]*plan.Job) error {
	for name := range strings.SplitSeq(list, ",") {
		if jobs[name] == nil {
			return unknownJob(p, name)
		}
	}
	return unknownJob(p, list)
}

// with adds a privilege.
func (g Granted) with(privilege string) Granted {
	device, isDevice := strings.CutPrefix(privilege, privilegeDevice)
	switch {
	case isDevice:
		g.Devices = append(slices.Clone(g.Devices), device)
	case privilege == privilegeAll:
		g.Privileged = true
	default:
		g.HostNetwork = true
	}
	return g
}

// has reports whether a privilege is among what is granted.
func (g Granted) has(privilege string) bool {
	device, isDevice := strings.CutPrefix(privilege, privilegeDevice)
	switch {
	case isDevice:
		return slices.Contains(g.Devices, device)
	case privilege == privilegeAll:
		return g.Privileged
	}
	return g.HostNetwork
}

// requests are the privileges that a job asks for, itself or for its services.
func requests(j *plan.Job) []string {
	var list []string
	if j.Privileged || slices.ContainsFunc(j.Services, func(s plan.Service) bool { return s.Privileged }) {
		list = append(list, privilegeAll)
	}
	for _, device := range j.Devices {
		list = append(list, privilegeDevice+device)
	}
	if j.HostNetwork {
		list = append(list, privilegeHostNetwork)
	}
	return list
}

// PolicyError says that a plan asks for what only the command line can grant.
type PolicyError struct {
	// Refused are the requests, in plan order.
	Refused []Refused
}

// Refused is a request that was not granted.
type Refused struct {
	Job, Privilege string
	// Services are the images of the services that it is for, empty where it is the job's own.
	Services []string
}

// Error names jobs and privileges, one job after the other.
func (e *PolicyError) Error() string {
	var texts []string
	for _, r := range e.Refused {
		text := fmt.Sprintf("job %q asks for %s", r.Job, r.Privilege)
		if len(r.Services) > 0 {
			text += " (service " + strings.Join(r.Services, ", ") + ")"
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "; ") + ": not granted"
}

// Help is the part of a command line that grants all of it.
func (e *PolicyError) Help() string {
	var flags []string
	for _, r := range e.Refused {
		flags = append(flags, "--grant "+shellWord(r.Privilege+"="+r.Job))
	}
	return "where the plan is trusted with the machine: " + strings.Join(flags, " ")
}

// shellWord quotes a text for a shell if it must be.
func shellWord(s string) string {
	if strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-=:/.,") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// CheckPolicy refuses, with a [*PolicyError], what nobody granted, wherever the
// plan comes from. [Executor.Run] calls it too.
func CheckPolicy(p *plan.Plan, granted map[string]Granted) error {
	var refused []Refused
	for i := range p.Jobs {
		j := &p.Jobs[i]
		for _, privilege := range requests(j) {
			if granted[j.Name].has(privilege) {
				continue
			}
			r := Refused{Job: j.Name, Privilege: privilege}
			for _, s := range j.Services {
				if privilege == privilegeAll && s.Privileged && !j.Privileged {
					r.Services = append(r.Services, familiarImage(s.Name.String()))
				}
			}
			refused = append(refused, r)
		}
	}
	if len(refused) > 0 {
		return &PolicyError{Refused: refused}
	}
	return nil
}

// granted is what the job asks for and was granted. What is granted for its
// services alone is theirs: see [Service.Privileged].
func (w *worker) granted() Granted {
	g := w.r.Granted[w.job.Name]
	return Granted{
		Privileged:  w.job.Privileged && g.Privileged,
		HostNetwork: w.job.HostNetwork && g.HostNetwork,
		Devices: slices.DeleteFunc(slices.Clone(w.job.Devices), func(device string) bool {
			return !slices.Contains(g.Devices, device)
		}),
	}
}
