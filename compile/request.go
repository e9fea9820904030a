package compile

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/distribution/reference"

	"github.com/cic-ci/cic/compile/pipeline"
	"github.com/cic-ci/cic/compile/syntax"
	"github.com/cic-ci/cic/plan"
)

// Request is what a job needs of the machine and no keyword of GitLab's can say:
// there it is up to the runner's configuration. The plan records it for review.
type Request struct {
	// Job is a name as in the file, which stands for all copies that parallel
	// makes of the job, or the full name of one.
	Job string
	// What is the text before the job's name: privileged, device:/dev/kvm, memory:2g.
	What  string
	apply func(*plan.Job)
}

// RequestForms are what can be requested, for a help text.
const RequestForms = "privileged, privileged-services, host-network, device:/dev/PATH, cpus:N, memory:SIZE, disk:SIZE or pids:N"

// ParseRequest reads WHAT=JOB; WHAT is one of [RequestForms].
func ParseRequest(s string) (Request, error) {
	what, job, ok := strings.Cut(s, "=")
	if !ok || what == "" || job == "" {
		return Request{}, fmt.Errorf("%q is not of the form WHAT=JOB", s)
	}
	r := Request{Job: job, What: what}
	kind, value, _ := strings.Cut(what, ":")
	size := func(set func(*plan.Resources, int64)) error {
		n, err := plan.ParseSize(value)
		r.apply = resource(func(limits *plan.Resources) { set(limits, n) })
		return err
	}
	var err error
	switch {
	case what == "privileged":
		r.apply = func(j *plan.Job) { j.Privileged = true }
	case what == "privileged-services":
		r.apply = func(j *plan.Job) {
			for i := range j.Services {
				j.Services[i].Privileged = true
			}
		}
	case what == "host-network":
		r.apply = func(j *plan.Job) { j.HostNetwork = true }
	case kind == "device":
		if path.Clean(value) != value || !strings.HasPrefix(value, "/dev/") {
			return Request{}, fmt.Errorf("%q is not the path of a device below /dev", value)
		}
		r.apply = func(j *plan.Job) {
			if !slices.Contains(j.Devices, value) {
				j.Devices = append(j.Devices, value)
				slices.Sort(j.Devices)
			}
		}
	case kind == "cpus":
		var n float64
		if n, err = strconv.ParseFloat(value, 64); err == nil && !(n > 0 && n <= 1<<16) {
			err = fmt.Errorf("%q is no number of processors", value)
		}
		r.apply = resource(func(limits *plan.Resources) { limits.CPUs = n })
	case kind == "memory":
		err = size(func(limits *plan.Resources, n int64) { limits.Memory = n })
	case kind == "disk":
		err = size(func(limits *plan.Resources, n int64) { limits.Disk = n })
	case kind == "pids":
		var n int64
		if n, err = strconv.ParseInt(value, 10, 64); err == nil && n < 1 {
			err = fmt.Errorf("%q is no number of processes", value)
		}
		r.apply = resource(func(limits *plan.Resources) { limits.PIDs = n })
	default:
		return Request{}, fmt.Errorf("%q cannot be requested: it is %s", what, RequestForms)
	}
	if err != nil {
		return Request{}, fmt.Errorf("%s: %w", what, err)
	}
	return r, nil
}

func resource(set func(*plan.Resources)) func(*plan.Job) {
	return func(j *plan.Job) {
		if j.Resources == nil {
			j.Resources = new(plan.Resources)
		}
		set(j.Resources)
	}
}

// request applies to a job what is requested for it.
func (l *lowering) request(out *plan.Job, j *pipeline.Job) {
	for _, r := range l.env.options.Requests {
		if r.Job == j.Name || r.Job == j.Base {
			r.apply(out)
		}
	}
}

// checkRequests reports requests for jobs that the file does not have at all;
// one that only rules leave out is no fault.
func (l *lowering) checkRequests(p *pipeline.Pipeline) {
	var names []string
	for _, j := range p.Jobs {
		names = append(names, j.Name, j.Base)
	}
	for _, r := range l.env.options.Requests {
		if slices.Contains(names, r.Job) || ofChild(r.Job, p.Jobs) {
			continue
		}
		e := &syntax.Error{Code: codeOption, Msg: fmt.Sprintf("%s is requested for job %q, which does not exist", r.What, r.Job)}
		if best := syntax.Suggest(r.Job, names); best != "" {
			e.Help = fmt.Sprintf("did you mean %q?", best)
		}
		l.diags.report(e)
	}
}

// requestTexts are the requests as the plan's context records them, sorted.
func requestTexts(requests []Request) string {
	var texts []string
	for _, r := range requests {
		texts = append(texts, r.What+"="+r.Job)
	}
	slices.Sort(texts)
	return strings.Join(slices.Compact(texts), "; ")
}

// wantsPrivileges reports whether a service's image is Docker's own daemon,
// which does nothing without privileges: repository docker under any registry or
// mirror, with dind in the tag. That only asks; the command line grants.
func wantsPrivileges(image plan.Text) bool {
	if image.Template {
		return false
	}
	ref, err := reference.Parse(image.Value)
	if err != nil {
		return false
	}
	tagged, ok := ref.(reference.NamedTagged)
	return ok && path.Base(tagged.Name()) == "docker" && strings.Contains(tagged.Tag(), "dind")
}
