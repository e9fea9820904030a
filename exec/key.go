package exec

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cic-ci/cic/plan"
)

// keyFormat is part of every key: another makes all that is recorded void.
const keyFormat = "1"

// KeyPart is one of the things that a job's outcome follows from. Its value is
// short: of what is long or secret, a digest.
type KeyPart struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// volatile are the variables that differ from run to run by nature, or with the
// version of cic. They are no part of a key, so that a job which prints its own
// number may not be run again.
var volatile = []string{
	"CI_CONCURRENT_ID", "CI_CONCURRENT_PROJECT_ID",
	"CI_JOB_ID", "CI_JOB_STARTED_AT", "CI_JOB_STATUS", "CI_JOB_URL",
	"CI_PIPELINE_CREATED_AT", "CI_PIPELINE_ID", "CI_PIPELINE_IID", "CI_PIPELINE_URL",
	"CI_RUNNER_REVISION", "CI_RUNNER_VERSION",
}

// ImageDigester is a [Runtime] that can tell which image a job would run in.
type ImageDigester interface {
	// ImageDigest returns the digest of an image's manifest, pulled by the policies if
	// need be; empty for what is no image but a directory of this machine.
	ImageDigest(ctx context.Context, name string, policies []string) (string, error)
}

// errNoDigest says that a job has no key.
var errNoDigest = errors.New("the image is a directory of this machine, whose content has no digest")

// unskippable says why a job is run even if nothing has changed; empty if it need
// not be.
func unskippable(p *plan.Plan, j *plan.Job) string {
	switch {
	case p.ProjectOf(j) != nil:
		return "it is of another project"
	case j.Environment != nil:
		return "it deploys to an environment"
	case j.When != "on_success":
		return "it has when: " + j.When
	case j.ResourceGroup != nil:
		return "it has a resource_group, and so works on something outside"
	}
	return ""
}

// keyParts are all parts of the job's key, in an order of their own.
func (w *worker) keyParts(l launch) ([]KeyPart, error) {
	if w.inheritErr != nil {
		return nil, w.inheritErr
	}
	source, err := w.r.Reuse.Source()
	if err != nil {
		return nil, fmt.Errorf("read the project: %w", err)
	}
	k := keyBuilder{}
	k.add("format", keyFormat)
	k.add("script", w.job.Script.Shell+" "+w.job.Script.SHA256)
	if s := w.job.AfterScript; s != nil {
		k.add("after_script", s.Shell+" "+s.SHA256)
	}
	if err := w.imagePart(&k, "image", w.image(), &w.job.Image); err != nil {
		return nil, err
	}
	if err := w.environmentParts(&k); err != nil {
		return nil, err
	}
	if err := w.servicesParts(&k); err != nil {
		return nil, err
	}
	for _, s := range w.r.Secrets.of(w.job) {
		k.add("secret "+s.Name, w.r.Reuse.store.conceal(s.Value))
	}
	for i, from := range l.from {
		k.add("artifacts of "+from, l.digests[i])
	}
	k.json("artifacts", w.job.Artifacts)
	if w.job.Coverage != "" {
		k.add("coverage", w.job.Coverage) // of which the result tells
	}
	k.json("limits", w.limits())
	k.json("granted", w.granted())
	k.parts = append(k.parts, w.r.Reuse.Options...)
	k.parts = append(k.parts, source...)
	return k.parts, k.err
}

func (w *worker) environmentParts(k *keyBuilder) error {
	env, err := Environment(w.plan, w.job, w.vars)
	if err != nil {
		return err
	}
	for _, e := range env {
		if name, value, _ := strings.Cut(e, "="); !slices.Contains(volatile, name) {
			k.add("variable "+name, value)
		}
	}
	return nil
}

// imagePart adds the digest that an image's name stands for now, and how it is run.
func (w *worker) imagePart(k *keyBuilder, what, name string, image *plan.Image) error {
	images, ok := w.r.Runtime.(ImageDigester)
	if !ok {
		return errNoDigest
	}
	digest, err := images.ImageDigest(w.r.ctx, name, image.PullPolicy)
	if err != nil {
		return err
	}
	if digest == "" {
		return errNoDigest
	}
	k.add(what, digest)
	k.json(what+" run as", struct {
		Entrypoint []plan.Text
		User       string
	}{image.Entrypoint, image.User})
	return nil
}

func (w *worker) servicesParts(k *keyBuilder) error {
	services, err := w.services()
	if err != nil {
		return err
	}
	for i, s := range services {
		what := fmt.Sprintf("service %d", i+1)
		if err := w.imagePart(k, what, s.Image.Name.Value, &s.Image); err != nil {
			return err
		}
		s.Image.PullPolicy = nil
		s.Env = slices.DeleteFunc(slices.Clone(s.Env), func(e string) bool {
			name, _, _ := strings.Cut(e, "=")
			return slices.Contains(volatile, name)
		})
		k.json(what+" settings", s)
	}
	return nil
}

// keyBuilder collects parts.
type keyBuilder struct {
	parts []KeyPart
	err   error
}

// maxKeyValue is how long a part's value is before a digest stands for its end.
const maxKeyValue = 120

func (k *keyBuilder) add(name, value string) {
	if len(value) > maxKeyValue {
		sum := sha256.Sum256([]byte(value))
		value = value[:maxKeyValue/2] + "… sha256 " + hex.EncodeToString(sum[:])
	}
	k.parts = append(k.parts, KeyPart{Name: name, Value: strings.ToValidUTF8(value, "\ufffd")})
}

func (k *keyBuilder) json(name string, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		k.err = errors.Join(k.err, fmt.Errorf("%s: %w", name, err))
		return
	}
	if text := string(data); text != "null" && text != "{}" {
		k.add(name, text)
	}
}

// keyDigest is the digest of parts.
func keyDigest(parts []KeyPart) (string, error) {
	data, err := json.Marshal(parts)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

// conceal is a digest of a secret that tells whether it has changed, and is of no
// use without this state directory's own key: a plain one could be found by trying.
func (s *KeyStore) conceal(v Sensitive) string {
	mac := hmac.New(sha256.New, s.secret)
	mac.Write([]byte(v.Reveal()))
	return "hmac " + hex.EncodeToString(mac.Sum(nil))
}

// KeyChange is a part that differs between two keys; a value is empty where there
// is no such part.
type KeyChange struct{ Name, Before, Now string }

// KeyChanges lists what differs, in the order of now, then what is gone.
func KeyChanges(before, now []KeyPart) []KeyChange {
	old := make(map[string]string, len(before))
	for _, p := range before {
		old[p.Name] = p.Value
	}
	var changes []KeyChange
	seen := make(map[string]bool, len(now))
	for _, p := range now {
		seen[p.Name] = true
		if value, ok := old[p.Name]; !ok || value != p.Value {
			changes = append(changes, KeyChange{p.Name, value, p.Value})
		}
	}
	for _, p := range before {
		if !seen[p.Name] {
			changes = append(changes, KeyChange{Name: p.Name, Before: p.Value})
		}
	}
	return changes
}
