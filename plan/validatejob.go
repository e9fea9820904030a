package plan

import (
	"crypto/sha256"
	"errors"
	"math"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	jobWhen     = []string{"on_success", "on_failure", "always", "manual", "delayed"}
	uploadWhen  = []string{"on_success", "on_failure", "always"}
	pullPolicy  = []string{"always", "if-not-present", "never"}
	cachePolicy = []string{"pull", "push", "pull-push"}
	envAction   = []string{"start", "prepare", "stop", "verify", "access"}
	envTier     = []string{"production", "staging", "testing", "development", "other"}
	onFailure   = []string{"", "all", "none"}
	onNewCommit = []string{"", "conservative", "interruptible", "none"}
	// retryWhen is the list of specification section 25.
	retryWhen = []string{
		"always", "unknown_failure", "script_failure", "api_failure", "stuck_or_timeout_failure",
		"stuck_pending_with_matching_runners", "stuck_pending_no_matching_runners",
		"no_updates_running", "no_updates_canceling", "runner_system_failure",
		"runner_configuration_error", "runner_external_dependency_failure", "runner_interrupted",
		"runner_unsupported", "stale_schedule", "job_execution_timeout", "server_timeout_running",
		"server_timeout_canceling", "archived_failure", "unmet_prerequisites", "scheduler_failure",
		"data_integrity_failure",
	}

	hostName = regexp.MustCompile(`^[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?$`)
)

// job checks what can be seen of a job alone. paths collects script paths.
func (v *validator) job(s scope, j *Job, paths map[string]bool) {
	s.open = len(j.DotenvFrom) > 0
	if j.Trigger != nil {
		v.triggerJob(s, j)
		return
	}
	s.image(&j.Image)
	for i := range j.Services {
		v.service(s.element("services", i), &j.Services[i])
	}
	s.field("variables").variables(j.Variables)
	s.secrets(j.Secrets)
	s.field("reads").identifiers(j.Reads)
	if !slices.IsSorted(j.Reads) {
		s.field("reads").fail("must be sorted")
	}
	s.field("script").script(&j.Script, paths)
	if j.AfterScript != nil {
		s.field("after_script").script(j.AfterScript, paths)
	}
	if j.Artifacts != nil {
		v.artifacts(s.field("artifacts"), j.Artifacts)
	}
	for i := range j.Caches {
		v.cache(s.element("caches", i), &j.Caches[i])
	}
	v.control(s, j)
	s.timeouts(j)
	v.environment(s, j)
	s.externalNeeds(j.ExternalNeeds)
	if j.Release != nil {
		s.field("release").release(j.Release)
	}
	s.requests(j)
	s.field("matrix").variables(j.Matrix)
}

// secrets checks that each has a name of its own, in order.
func (s scope) secrets(secrets []Secret) {
	for i := range secrets {
		at := s.element("secrets", i).field("name")
		at.identifier(secrets[i].Name)
		if i > 0 && secrets[i].Name <= secrets[i-1].Name {
			at.fail("secrets must be sorted by name, each only once")
		}
	}
}

// requests checks what only the command line can grant.
func (s scope) requests(j *Job) {
	for i, device := range j.Devices {
		at := s.element("devices", i)
		if path.Clean(device) != device || !strings.HasPrefix(device, "/dev/") {
			at.fail("%s is not the path of a device below /dev", quote(device))
		}
		at.line(device)
	}
	s.field("devices").unique(j.Devices)
}

// control checks when and how often a job runs.
func (v *validator) control(s scope, j *Job) {
	s.field("when").word(j.When, jobWhen...)
	switch {
	case j.When != "delayed" && j.StartIn != 0:
		s.field("start_in").fail("only a delayed job has one")
	case j.When == "delayed" && (j.StartIn < 1 || j.StartIn > maxStartIn):
		s.field("start_in").fail("%d is not from 1 to %d seconds", j.StartIn, maxStartIn)
	}
	if j.AllowFailure && len(j.AllowFailureExitCodes) > 0 {
		s.field("allow_failure_exit_codes").fail("allow_failure allows every exit code already")
	}
	s.field("allow_failure_exit_codes").exitCodes(j.AllowFailureExitCodes)
	if r := j.Retry; r != nil {
		if r.Max < 0 || r.Max > 2 {
			s.field("retry").field("max").fail("%d is not from 0 to 2", r.Max)
		}
		for i, reason := range r.When {
			s.field("retry").element("when", i).word(reason, retryWhen...)
		}
		s.field("retry").field("exit_codes").exitCodes(r.ExitCodes)
	}
	if _, err := regexp.Compile(j.Coverage); err != nil {
		s.field("coverage").fail("%v", err)
	}
	s.field("coverage").text(j.Coverage)
	if j.ManualConfirmation != "" && j.When != "manual" {
		s.field("manual_confirmation").fail("only a manual job has one")
	}
	s.field("manual_confirmation").text(j.ManualConfirmation)
}

// timeouts checks the limits of a job and of its programs.
func (s scope) timeouts(j *Job) {
	if j.Timeout < 1 || j.Timeout > MaxTimeout {
		s.field("timeout").fail("%d is not from 1 to %d seconds", j.Timeout, MaxTimeout)
	}
	if j.ScriptTimeout < 0 || j.ScriptTimeout > 0 && j.ScriptTimeout >= j.Timeout {
		s.field("script_timeout").fail("%d is not shorter than the timeout of %d seconds", j.ScriptTimeout, j.Timeout)
	}
	if j.AfterScriptTimeout < 0 || j.AfterScriptTimeout > MaxTimeout {
		s.field("after_script_timeout").fail("%d is not from 1 to %d seconds", j.AfterScriptTimeout, MaxTimeout)
	}
	if j.AfterScriptTimeout > 0 && j.AfterScript == nil {
		s.field("after_script_timeout").fail("the job has no after_script")
	}
}

func (s scope) exitCodes(codes []int) {
	for i, code := range codes {
		if code < 0 {
			s.element("", i).fail("exit code %d is negative", code)
		}
	}
}

// environment checks where a job runs and what it may use.
func (v *validator) environment(s scope, j *Job) {
	if g := j.ResourceGroup; g != nil {
		s.field("resource_group").required(*g)
		s.field("resource_group").line(g.Value)
	}
	if e := j.Environment; e != nil {
		at := s.field("environment")
		at.field("name").required(e.Name)
		at.field("name").named(e.Name.Value)
		if e.URL != nil {
			url := at.field("url")
			// It is asked for when the job's own report is there.
			url.open = url.open || j.Artifacts != nil && len(j.Artifacts.Reports["dotenv"]) > 0
			url.template(*e.URL)
		}
		if e.Action != "" {
			at.field("action").word(e.Action, envAction...)
		}
		if e.Tier != "" {
			at.field("tier").word(e.Tier, envTier...)
		}
	}
	if r := j.Resources; r != nil {
		at := s.field("resources")
		if math.IsNaN(r.CPUs) || math.IsInf(r.CPUs, 0) || r.CPUs < 0 {
			at.field("cpus").fail("%v is not a finite number from 0", r.CPUs)
		}
		for _, limit := range []struct {
			name  string
			value int64
		}{{"memory", r.Memory}, {"disk", r.Disk}, {"pids", r.PIDs}} {
			if limit.value < 0 {
				at.field(limit.name).fail("%d is negative", limit.value)
			}
		}
	}
}

func (s scope) script(script *Script, paths map[string]bool) {
	at := s.field("path")
	at.scriptPath(script.Path)
	if paths[script.Path] {
		at.fail("%s is the script of another job too", quote(script.Path))
	}
	paths[script.Path] = true
	s.field("sha256").sha256(script.SHA256)
	s.field("shell").word(script.Shell, "sh", "bash")
}

// scriptPath allows exactly jobs/NAME.sh, so that nothing outside can be named,
// and only names that no file system takes for another's.
func (s scope) scriptPath(path string) {
	name, ok := strings.CutPrefix(path, jobsDir+"/")
	if !ok || !scriptName(name) {
		s.fail("%s is not %s/NAME.sh with NAME of [a-z0-9._-]", quote(path), jobsDir)
	}
}

func (s scope) image(im *Image) {
	at := s.field("image")
	at.imageFields(im)
	for i, arg := range im.Entrypoint {
		if arg.Template {
			at.element("entrypoint", i).fail("only a service's may be a template")
		}
	}
}

func (s scope) imageFields(im *Image) {
	name := s.field("name")
	name.open = true // a variable that nobody defines makes the job fail, unless its image is replaced
	name.required(im.Name)
	name.line(im.Name.Value)
	for i, arg := range im.Entrypoint {
		s.element("entrypoint", i).template(arg)
	}
	s.field("user").user(im.User)
	s.field("pull_policy").unique(im.PullPolicy)
	for i, policy := range im.PullPolicy {
		s.element("pull_policy", i).word(policy, pullPolicy...)
	}
}

// user checks the user that a container runs as. That there is one is for the image to
// say; but a number that does not fit 32 bits has meant root (CVE-2024-40635).
func (s scope) user(user string) {
	s.line(user)
	for _, id := range strings.Split(user, ":") {
		if _, err := strconv.ParseInt(id, 10, 32); errors.Is(err, strconv.ErrRange) {
			s.fail("%s has a number beyond %d", quote(user), math.MaxInt32)
		}
	}
}

func (v *validator) service(s scope, svc *Service) {
	s.imageFields(&svc.Image)
	for i, alias := range svc.Alias {
		if !hostName.MatchString(alias) || len(alias) > 253 || alias == "localhost" {
			s.element("alias", i).fail("%s cannot be a service's host name", quote(alias))
		}
	}
	for i, arg := range svc.Command {
		s.element("command", i).template(arg)
	}
	s.field("variables").variables(svc.Variables)
}

func (v *validator) artifacts(s scope, a *Artifacts) {
	if len(a.Paths) == 0 && !a.Untracked && len(a.Reports) == 0 {
		s.fail("has neither paths nor untracked nor reports: leave it out")
	}
	if a.Name != nil {
		s.field("name").template(*a.Name)
	}
	s.patterns("paths", a.Paths)
	s.patterns("exclude", a.Exclude)
	s.field("when").word(a.When, uploadWhen...)
	if a.ExpireIn < 0 {
		s.field("expire_in").fail("%d is negative", a.ExpireIn)
	}
	for _, kind := range sortedKeys(a.Reports) {
		at := s.field("reports").key(kind)
		at.named(kind)
		if len(a.Reports[kind]) == 0 {
			at.fail("must not be empty")
		}
		at.patterns("", a.Reports[kind])
	}
}

func (v *validator) cache(s scope, c *Cache) {
	if len(c.KeyFiles) == 0 {
		s.field("key").required(c.Key)
	} else {
		s.field("key").template(c.Key)
	}
	if c.KeyCommits && len(c.KeyFiles) == 0 {
		s.field("key_commits").fail("there are no key_files whose commits are meant")
	}
	if len(c.Paths) == 0 && !c.Untracked {
		s.fail("has neither paths nor untracked: leave it out")
	}
	keyFiles := make([]Text, len(c.KeyFiles))
	for i, pattern := range c.KeyFiles {
		keyFiles[i] = Literal(pattern)
	}
	s.patterns("key_files", keyFiles)
	for i, key := range c.FallbackKeys {
		s.element("fallback_keys", i).required(key)
	}
	s.patterns("paths", c.Paths)
	s.field("policy").required(c.Policy)
	if !c.Policy.Template {
		s.field("policy").word(c.Policy.Value, cachePolicy...)
	}
	s.field("when").word(c.When, uploadWhen...)
}

// patterns checks globs that must stay inside the project. Those that are
// templates are checked again when they are expanded.
func (s scope) patterns(name string, patterns []Text) {
	for i, t := range patterns {
		at := s.element(name, i)
		at.required(t)
		if t.Template {
			continue
		}
		if strings.HasPrefix(t.Value, "/") || slices.Contains(strings.Split(t.Value, "/"), "..") {
			at.fail("%s leads out of the project", quote(t.Value))
		}
	}
}

// sha256 checks a digest.
func (s scope) sha256(digest string) {
	if len(digest) != 2*sha256.Size || strings.Trim(digest, "0123456789abcdef") != "" {
		s.fail("%s is not 64 lower-case hexadecimal digits", quote(digest))
	}
}
