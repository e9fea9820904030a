package exec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cic-ci/cic/plan"
)

// UnpinnedError says that a plan has images that are not pinned, where only such may
// be run.
type UnpinnedError struct {
	// Images are in plan order.
	Images []Unpinned
}

// Unpinned is an image that is not pinned.
type Unpinned struct {
	// Job asks for Image, as its own or for a service.
	Job, Image string
	Service    bool
	// Reason says of the image why it is not pinned.
	Reason string
}

// Error names each image once, with the reason and the first jobs that ask for it.
func (e *UnpinnedError) Error() string {
	type refusal struct{ image, reason string }
	var order []refusal
	jobs := map[refusal][]string{}
	for _, u := range e.Images {
		key, job := refusal{u.Image, u.Reason}, fmt.Sprintf("job %q", u.Job)
		if u.Service {
			job = "a service of " + job
		}
		if jobs[key] == nil {
			order = append(order, key)
		}
		if !slices.Contains(jobs[key], job) {
			jobs[key] = append(jobs[key], job)
		}
	}
	var texts []string
	for _, r := range order {
		asking := jobs[r]
		if more := len(asking) - namedJobs; more > 0 {
			asking = append(asking[:namedJobs:namedJobs], fmt.Sprintf("%d more", more))
		}
		texts = append(texts, fmt.Sprintf("image %s %s (for %s)", familiarImage(r.image), r.reason, strings.Join(asking, ", ")))
	}
	return strings.Join(texts, "; ")
}

// namedJobs is how many of the jobs that ask for an image are named.
const namedJobs = 3

// CheckPinned refuses, with an [*UnpinnedError], all images of a plan that unpinned has
// a reason against, given by their references, and those that are known only at run time.
func CheckPinned(p *plan.Plan, unpinned func(image string) (reason string)) error {
	var refused []Unpinned
	check := func(job string, image plan.Text, service bool) {
		reason := "is known only at run time"
		if !image.Template {
			reason = unpinned(image.Value)
		}
		if reason != "" {
			refused = append(refused, Unpinned{Job: job, Image: image.Value, Service: service, Reason: reason})
		}
	}
	for i := range p.Jobs {
		j := &p.Jobs[i]
		if j.Trigger != nil {
			continue
		}
		check(j.Name, j.Image.Name, false)
		for k := range j.Services {
			check(j.Name, j.Services[k].Name, true)
		}
	}
	if len(refused) > 0 {
		return &UnpinnedError{Images: refused}
	}
	return nil
}

// checkPlan refuses a plan that asks for more than it may have.
func (e *Executor) checkPlan(p *plan.Plan) error {
	if err := CheckPolicy(p, e.Granted); err != nil {
		return err
	}
	if e.Unpinned == nil {
		return nil
	}
	return CheckPinned(p, e.Unpinned)
}
