package exec

import "github.com/cic-ci/cic/plan"

// limits are the job's, completed by the executor's.
func (w *worker) limits() plan.Resources {
	if w.job.Resources == nil {
		return plan.Resources{}
	}
	return *w.job.Resources
}

// granted is what the job asks for and was granted.
func (w *worker) granted() Granted { return Granted{} }

// secrets are those that the job may have.
func (w *worker) secrets() []Secret { return nil }
