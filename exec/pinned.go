package exec

import (
	"fmt"
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

// Error names each job and image, with the reason.
func (e *UnpinnedError) Error() string {
	var texts []string
	for _, u := range e.Images {
		what := "image"
		if u.Service {
			what = "service"
		}
		texts = append(texts, fmt.Sprintf("job %q: %s %s %s", u.Job, what, familiarImage(u.Image), u.Reason))
	}
	return strings.Join(texts, "; ")
}

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
