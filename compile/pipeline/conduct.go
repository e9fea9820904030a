package pipeline

import (
	"math"
	"strconv"
	"strings"

	"github.com/cic-ci/cic/compile/match"
	"github.com/cic-ci/cic/compile/syntax"
)

// Limits and words of specification 0, 16 and 25.
const (
	maxTimeout  = 30 * day
	maxStartIn  = 7 * day
	maxRetries  = 2
	maxExitCode = 255
)

var (
	jobWhen      = []string{"on_success", "on_failure", "always", "manual", "delayed"}
	artifactWhen = []string{"on_success", "on_failure", "always"}
	retryWhen    = []string{
		"always", "unknown_failure", "script_failure", "api_failure", "stuck_or_timeout_failure",
		"stuck_pending_with_matching_runners", "stuck_pending_no_matching_runners", "no_updates_running",
		"no_updates_canceling", "runner_system_failure", "runner_configuration_error",
		"runner_external_dependency_failure", "runner_interrupted", "runner_unsupported", "stale_schedule",
		"job_execution_timeout", "server_timeout_running", "server_timeout_canceling", "archived_failure",
		"unmet_prerequisites", "scheduler_failure", "data_integrity_failure",
	}
)

// conduct decodes the keywords that tell when, where and how often a job runs,
// and what becomes of its failure (specification 16, 25, 27, 29).
func (d *decoder) conduct(j *Job, what string, n *syntax.Node) {
	switch what {
	case "when":
		j.When = d.when(n)
	case "start_in":
		j.StartIn = d.duration(n, what, maxStartIn)
	case "timeout":
		j.Timeout = d.timeout(n)
	case "retry":
		j.Retry = d.retry(n)
	case "allow_failure":
		d.allowFailure(j, n)
	case "interruptible":
		j.Interruptible = d.boolean(n, what)
	case "coverage":
		j.Coverage = d.coverage(n)
	case "environment":
		j.Environment = d.environment(n)
	case "resource_group":
		j.ResourceGroup = d.resourceGroup(n, what)
	case "manual_confirmation":
		t, _ := d.filledText(n, what)
		j.ManualConfirmation = t.Value
	}
}

// resourceGroup decodes the name of a resource group. An empty one, as templates
// give by an input that may stay empty, is no group: the server asks for a string
// and makes a group of one that is present (specification 29).
func (d *decoder) resourceGroup(n *syntax.Node, what string) Text {
	if n.Kind == syntax.String && strings.TrimSpace(n.Value) == "" {
		return Text{}
	}
	return d.environmentName(n, what)
}

func (d *decoder) when(n *syntax.Node) Text {
	if n.Kind == syntax.String && n.Value == "never" {
		d.fail(CodeValue, n, `"when: never" is allowed in "rules" only`).Help =
			`write rules: [{when: never}], or hide the job by a name that begins with "."`
		return Text{}
	}
	t, _ := d.word(n, "when", jobWhen)
	return t
}

// delay checks that start_in and when: delayed come together.
func (d *decoder) delay(n *syntax.Node) {
	when, start := n.Get("when"), n.Get("start_in")
	delayed := when != nil && when.Kind == syntax.String && when.Value == "delayed"
	switch {
	case delayed && !specified(start):
		d.fail(CodeMissing, when, `"when: delayed" needs "start_in"`).Help = `add a duration: start_in: "30 minutes"`
	case specified(start) && !delayed && !specified(n.Get("rules")):
		d.fail(CodeConflict, n.GetKey("start_in"), `"start_in" needs "when: delayed"`)
	}
}

// timeout decodes a duration, or an integer of seconds: an addition to the
// language, whose integers are an error (specification 26). Base 60 is left
// out: GitLab's YAML reads 1:30 as 5400, while the duration is 90 seconds.
func (d *decoder) timeout(n *syntax.Node) int64 {
	if n.Kind != syntax.Int || strings.Contains(n.Raw, ":") {
		return d.duration(n, "timeout", maxTimeout)
	}
	seconds, err := strconv.ParseInt(n.Value, 10, 64)
	if err != nil { // beyond 64 bits
		seconds = maxTimeout + 1
	}
	return d.within(n, "timeout", seconds, maxTimeout)
}

// duration decodes a duration from one second to limit seconds, 0 after an
// error.
func (d *decoder) duration(n *syntax.Node, what string, limit int64) int64 {
	if n.Kind != syntax.String {
		e := d.wrongType(n, what, "a duration")
		switch {
		case n.Kind == syntax.Int && strings.Contains(n.Raw, ":"):
			e.Help = `quote it: "` + n.Raw + `"`
		case n.Kind == syntax.Int:
			e.Help = `quote it and name the unit: "` + n.Raw + ` seconds"`
		}
		return 0
	}
	seconds, err := ParseDuration(n.Value)
	if err != nil {
		d.fail(CodeDuration, n, "%q must be a duration: %v", what, err).Help =
			`such as "1h 30m", "3600 seconds" or "2 days"`
		return 0
	}
	return d.within(n, what, seconds, limit)
}

// noLimit is the limit of lifetimes, for which the language has none.
const noLimit = math.MaxInt64

// forever is the lifetime in seconds from which one is as good as without end.
const forever = 100 * year

// lifetime decodes how long something is kept: a duration, or "never" for 0 (specification
// 26), whose case counts as little as that of the units.
func (d *decoder) lifetime(n *syntax.Node, what string) int64 {
	if n.Kind == syntax.String && strings.EqualFold(n.Value, "never") {
		return 0
	}
	if seconds := d.duration(n, what, noLimit); seconds < forever {
		return seconds
	}
	return 0
}

// within returns seconds if they are from 1 to limit, else 0.
func (d *decoder) within(n *syntax.Node, what string, seconds, limit int64) int64 {
	switch {
	case seconds < 1 && limit == noLimit:
		d.fail(CodeLimit, n, "%q must be 1 second at least", what)
		return 0
	case seconds < 1 || seconds > limit:
		d.fail(CodeLimit, n, "%q must be from 1 second to %s", what, limitNames[limit])
		return 0
	}
	return seconds
}

// limitNames word the limits of durations.
var limitNames = map[int64]string{
	maxStartIn: "1 week",
	maxTimeout: "1 month (30 days)",
}

// retry decodes a number of extra attempts or a mapping (specification 25).
func (d *decoder) retry(n *syntax.Node) *Retry {
	r := &Retry{}
	decodeMax := func(n *syntax.Node, what string) {
		attempts, _ := d.integer(n, what, 0, maxRetries)
		r.Max = int(attempts)
	}
	if n.Kind == syntax.Int {
		decodeMax(n, "retry")
		return r
	}
	ok := d.fields(n, inRetry, "retry", func(key, value *syntax.Node) {
		switch what := path("retry", key.Value); key.Value {
		case "max":
			decodeMax(value, what)
		case "when":
			r.When = d.words(value, what, retryWhen)
		case "exit_codes":
			r.ExitCodes = d.exitCodes(value, what)
		}
	})
	if !ok {
		d.wrongInteger(n, "retry", "an integer or a mapping")
	}
	return r
}

// allowFailure decodes true, false or exit codes, with which a failure is not
// allowed as such (specification 16).
func (d *decoder) allowFailure(j *Job, n *syntax.Node) {
	var allowed bool
	switch n.Kind {
	case syntax.Bool:
		allowed = d.boolean(n, "allow_failure")
	case syntax.Mapping:
		d.fields(n, inExitCodes, "allow_failure", func(_, value *syntax.Node) {
			j.AllowFailureExitCodes = d.exitCodes(value, "allow_failure:exit_codes")
		})
		d.require(n, inExitCodes, "allow_failure", "exit_codes")
	default:
		d.wrongType(n, "allow_failure", "true, false or a mapping")
	}
	j.AllowFailure = &allowed
}

// exitCodes decodes an integer or a list of them. One that no command can end with is
// accepted, as on GitLab, and has no effect.
func (d *decoder) exitCodes(n *syntax.Node, what string) []int {
	var codes []int
	for _, code := range d.integers(n, what, math.MinInt32, math.MaxInt32) {
		if code < 0 || code > maxExitCode {
			d.warn(CodeNoEffect, n, "%q names %d, but commands end with codes from 0 to %d", what, code, maxExitCode)
			continue
		}
		codes = append(codes, code)
	}
	return codes
}

// coverage decodes a regular expression between slashes and drops the slashes.
func (d *decoder) coverage(n *syntax.Node) string {
	t, ok := d.text(n, "coverage")
	if !ok {
		return ""
	}
	if len(t.Value) < 2 || !strings.HasPrefix(t.Value, "/") || !strings.HasSuffix(t.Value, "/") {
		d.fail(CodePattern, n, `"coverage" must be a regular expression between slashes`).Help = `such as '/\d+%/'`
		return ""
	}
	pattern := t.Value[1 : len(t.Value)-1]
	d.pattern(n, "coverage", pattern)
	return pattern
}

// pattern checks a regular expression.
func (d *decoder) pattern(n *syntax.Node, what, pattern string) {
	if err := match.Check(pattern); err != nil {
		reason := strings.TrimPrefix(err.Error(), "error parsing regexp: ")
		d.fail(CodePattern, n, "invalid regular expression in %q: %s", what, reason)
	}
}
