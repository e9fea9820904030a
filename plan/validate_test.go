package plan

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
)

func TestValidate(t *testing.T) {
	text := func(s string) Text { return Text{Value: s, Template: true} }
	const build, lint, test, deploy = 0, 1, 2, 3
	for _, tc := range []struct {
		name string
		edit func(p *Plan)
		want string // one problem, as printed
	}{
		{"format", func(p *Plan) { p.FormatVersion = "" }, `format_version: "" is not a version of format 1`},
		{"name", func(p *Plan) { p.Name = "a\nb" }, `name: "a\nb" holds a control character`},
		{"no source", func(p *Plan) { p.Source = "" }, `source: must not be empty`},
		{"source", func(p *Plan) { p.Source = "a\x1b[2J" }, `source: "a\x1b[2J" holds a control character`},
		{"ref", func(p *Plan) { p.Context.Ref = "a\nb" }, `context.ref: "a\nb" holds a control character`},
		{"ref type", func(p *Plan) { p.Context.RefType = "head" }, `context.ref_type: "head" is none of branch, tag`},
		{"event", func(p *Plan) { p.Context.Event, p.Context.TargetBranch = "", "" }, `context.event: must not be empty`},
		{"target branch", func(p *Plan) { p.Context.TargetBranch = "a\nb" }, `context.target_branch: "a\nb" holds a control character`},
		{"target branch of a push", func(p *Plan) { p.Context.Event = "push" }, `context.target_branch: only a merge_request_event has one`},
		{"workflow", func(p *Plan) { p.Workflow[0].Rule = "" }, `workflow[0].rule: must not be empty`},
		{"two rules that hold", func(p *Plan) { p.Workflow[0].Unmet = "" }, `workflow[0]: a rule that holds is the last to be tried`},
		{"clause", func(p *Plan) { p.Workflow[0].Unmet = "when" }, `workflow[0].unmet: "when" is none of if, changes, exists, only, except`},
		{"assumed", func(p *Plan) { p.Workflow[1].Assumed = "if" }, `workflow[1].assumed: "if" is none of changes, exists`},
		{"value of a rule", func(p *Plan) { p.Workflow[1].Values["A-B"] = nil }, `workflow[1].values["A-B"]: "A-B" cannot be a variable's name`},
		{"rules of a job", func(p *Plan) { p.Jobs[build].Rules = "x" }, `jobs[0] "build": rules: there is no record "x"`},
		{"rules of what is left out", func(p *Plan) { p.Excluded[0].Rules = "x" }, `excluded[0].rules: there is no record "x"`},
		{"key of rules", func(p *Plan) { p.Rules["x"] = []TriedRule{{Rule: "x"}} }, `rules["x"]: is not the key of what it holds`},
		{"no rules", func(p *Plan) { p.Rules[RulesKey(nil)] = nil }, `: must not be empty`},
		{"option", func(p *Plan) { p.Context.Options = map[string]string{"": "x"} }, `context.options[""]: must not be empty`},
		{"given", func(p *Plan) { p.Context.Given = []string{"A", "A"} }, `context.given[1]: "A" is there twice`},
		{"given name", func(p *Plan) { p.Context.Given = []string{"A=B"} }, `context.given[0]: "A=B" cannot be a variable's name: want [A-Za-z_][A-Za-z0-9_]*, at most 255 bytes`},
		{"read name", func(p *Plan) { p.Context.Read = map[string]*string{"1X": nil} }, `context.read["1X"]: "1X" cannot be`},
		{"read value", func(p *Plan) { s := "\x00"; p.Context.Read = map[string]*string{"X": &s} }, `context.read["X"]: "\x00" holds a NUL`},

		{"stage twice", func(p *Plan) { p.Stages = append(p.Stages, "build") }, `stages[3]: "build" is there twice`},
		{"stage empty", func(p *Plan) { p.Stages[0] = "" }, `stages[0]: must not be empty`},
		{"stage unused", func(p *Plan) { p.Stages = append(p.Stages, "extra") }, `stages[3]: "extra" holds no job`},
		{"stage unknown", func(p *Plan) { p.Jobs[lint].Stage = "biuld" }, `jobs[1] "lint": stage: no stage is named "biuld"`},
		{"stage order", func(p *Plan) { p.Stages[0], p.Stages[1] = p.Stages[1], p.Stages[0] }, `jobs[2] "test: [3.11, sqlite]": stage: jobs must be ordered by stage`},

		{"batches missing", func(p *Plan) { p.Batches = p.Batches[:2] }, `batches: batch 2 is missing: it would hold "deploy"`},
		{"batches more", func(p *Plan) { p.Batches = append(p.Batches, []string{"build"}) }, `batches[3]: there are only 3 levels of jobs`},
		{"batches other", func(p *Plan) { p.Batches[0] = []string{"lint", "build"} }, `batches[0]: does not hold the jobs of its level, in plan order`},

		{"job name", func(p *Plan) { p.Jobs[lint].Name = "" }, `jobs[1].name: must not be empty`},
		{"job name NUL", func(p *Plan) { p.Jobs[lint].Name = "a\x00" }, `jobs[1] "a\x00": name: "a\x00" holds a control character`},
		{"job name long", func(p *Plan) { p.Jobs[lint].Name = strings.Repeat("é", 256) }, `name: longer than 255 characters`},
		{"job name twice", func(p *Plan) { p.Jobs[lint].Name = "build" }, `jobs[1] "build": name: jobs[0] has the same name`},
		{"need unknown", func(p *Plan) { p.Jobs[test].Needs[0].Job = "biuld" }, `jobs[2] "test: [3.11, sqlite]": needs[0]: no job is named "biuld"`},
		{"need self", func(p *Plan) { p.Jobs[test].Needs[0].Job = p.Jobs[test].Name }, `needs[0]: the job needs itself`},
		{"need twice", func(p *Plan) { p.Jobs[test].Needs[1].Job = "build" }, `needs[1]: "build" is there twice`},
		{"need later", func(p *Plan) { p.Jobs[lint].Needs = []Need{{Job: "deploy"}} }, `jobs[1] "lint": needs[0]: "deploy" is in a later stage`},
		{"cycle", func(p *Plan) {
			p.Jobs[build].Needs = []Need{{Job: "lint"}}
			p.Jobs[lint].Needs = []Need{{Job: "build"}}
		}, `jobs: jobs wait for each other: "build" -> "lint" -> "build"`},
		{"needs and stages", func(p *Plan) { p.Jobs[test].AfterStages = true }, `after_stages: a job has either needs or after_stages`},

		{"inputs none", func(p *Plan) { p.Jobs[test].Inputs.Jobs = nil }, `inputs: want before_stage or jobs`},
		{"inputs both", func(p *Plan) { p.Jobs[deploy].Inputs.Jobs = []string{"build"} }, `inputs.jobs[0]: "build" is among the jobs before stage "deploy"`},
		{"inputs stages", func(p *Plan) { p.Jobs[test].Inputs = &Inputs{BeforeStage: "test"} }, `inputs.before_stage: the job does not wait for all stages before "test"`},
		{"inputs no stage", func(p *Plan) { p.Jobs[deploy].Inputs.BeforeStage = "x" }, `inputs.before_stage: no stage is named "x"`},
		{"inputs first stage", func(p *Plan) { p.Jobs[deploy].Inputs.BeforeStage = "build" }, `inputs.before_stage: no stage is before "build"`},
		{"inputs unknown", func(p *Plan) { p.Jobs[test].Inputs.Jobs = []string{"x"} }, `inputs.jobs[0]: no job is named "x"`},
		{"inputs twice", func(p *Plan) { p.Jobs[test].Inputs.Jobs = []string{"build", "build"} }, `inputs.jobs[1]: "build": jobs must be distinct and in plan order`},
		{"inputs nothing", func(p *Plan) { p.Jobs[test].Inputs.Jobs = []string{"lint"} }, `inputs.jobs[0]: "lint" declares no artifacts`},
		{"inputs reports", func(p *Plan) {
			p.Jobs[build].Artifacts.Paths, p.Jobs[build].Artifacts.Untracked = nil, false
			p.Jobs[test].Inputs.Jobs = []string{"build"}
		}, `inputs.jobs[0]: "build" declares no artifacts`},
		{"inputs apart", func(p *Plan) { p.Jobs[lint].Inputs = &Inputs{Jobs: []string{"build"}} }, `jobs[1] "lint": inputs.jobs[0]: the job does not wait for "build"`},
		{"inputs own", func(p *Plan) { p.Jobs[build].Inputs = &Inputs{Jobs: []string{"build"}} }, `inputs.jobs[0]: the job does not wait for "build"`},
		{"inputs same stage", func(p *Plan) { p.Jobs[lint].AfterStages = true; p.Jobs[lint].Inputs = &Inputs{Jobs: []string{"build"}} }, `inputs.jobs[0]: the job does not wait for "build"`},
		{"dotenv unknown", func(p *Plan) { p.Jobs[test].DotenvFrom = []string{"x"} }, `dotenv_from[0]: no job is named "x"`},
		{"dotenv none", func(p *Plan) { p.Jobs[test].DotenvFrom = []string{"lint"} }, `dotenv_from[0]: "lint" has no dotenv report`},
		{"dotenv twice", func(p *Plan) { p.Jobs[test].DotenvFrom = []string{"build", "build"} }, `dotenv_from[1]: "build" is there twice`},
		{"dotenv apart", func(p *Plan) { p.Jobs[lint].DotenvFrom = []string{"build"} }, `dotenv_from[0]: the job does not wait for "build"`},

		{"variable order", func(p *Plan) { v := p.Jobs[test].Variables; v[0], v[1] = v[1], v[0] }, `variables["APP"]: variables must be sorted by name and distinct`},
		{"variable twice", func(p *Plan) { p.Jobs[test].Variables[1].Name = "APP" }, `variables["APP"]: variables must be sorted`},
		{"variable name", func(p *Plan) { p.Jobs[test].Variables[0].Name = "A=B\n" }, `variables["A=B\n"]: "A=B\n" cannot be a variable's name`},
		{"variable NUL", func(p *Plan) { p.Jobs[test].Variables[0].Value.Value = "a\x00" }, `variables["APP"]: "a\x00" holds a NUL`},
		{"template form", func(p *Plan) { p.Jobs[test].Variables[1].Value.Value = "$X" }, `variables["WHO"]: template "$X": single $ at byte 0`},
		{"template name", func(p *Plan) {
			p.Jobs[test].DotenvFrom = nil
			p.Jobs[test].Variables[1].Value.Value = "${HOME}"
		}, `variables["WHO"]: template mentions HOME, which is not known at run time`},
		{"template in open job", func(p *Plan) { p.Jobs[test].Variables[1].Value.Value = "${HOME" }, `variables["WHO"]: template "${HOME": malformed reference`},
		{"template name of environment", func(p *Plan) {
			p.Jobs[lint].Environment = &Environment{Name: Literal("x"), URL: &Text{"http://${HOST}", true}}
		}, `environment.url: template mentions HOST`},
		{"matrix", func(p *Plan) { p.Jobs[test].Matrix[0].Name = "1" }, `matrix["1"]: "1" cannot be`},
		{"secret", func(p *Plan) { p.Jobs[test].Secrets = []Secret{{Name: "a b"}} }, `secrets[0].name: "a b" cannot be`},
		{"reads order", func(p *Plan) { p.Jobs[test].Reads = []string{"B", "A"} }, `reads: must be sorted`},

		{"image empty", func(p *Plan) { p.Jobs[build].Image.Name.Value = "" }, `jobs[0] "build": image.name: must not be empty`},
		{"entrypoint", func(p *Plan) { p.Jobs[test].Image.Entrypoint[0].Value = "\x00" }, `image.entrypoint[0]: "\x00" holds a NUL`},
		{"pull policy", func(p *Plan) { p.Jobs[test].Image.PullPolicy[1] = "sometimes" }, `image.pull_policy[1]: "sometimes" is none of always, if-not-present, never`},
		{"pull policy twice", func(p *Plan) { p.Jobs[test].Image.PullPolicy[1] = "always" }, `image.pull_policy[1]: "always" is there twice`},
		{"service image", func(p *Plan) { p.Jobs[test].Services[0].Name.Value = "a\x1b" }, `services[0].name: "a\x1b" holds a control character`},
		{"service alias", func(p *Plan) { p.Jobs[test].Services[0].Alias[0] = "../x" }, `services[0].alias[0]: "../x" cannot be a service's host name`},
		{"service localhost", func(p *Plan) { p.Jobs[test].Services[0].Alias[0] = "localhost" }, `services[0].alias[0]: "localhost" cannot be`},
		{"service variable", func(p *Plan) { p.Jobs[test].Services[0].Variables[0].Name = "" }, `services[0].variables[""]: "" cannot be`},

		{"digest", func(p *Plan) { p.Jobs[build].Script.SHA256 = strings.Repeat("A", 64) }, `script.sha256: "AAAA`},
		{"shell", func(p *Plan) { p.Jobs[build].Script.Shell = "zsh" }, `script.shell: "zsh" is none of sh, bash`},
		{"script twice", func(p *Plan) { p.Jobs[lint].Script.Path = p.Jobs[build].Script.Path }, `jobs[1] "lint": script.path: "jobs/build.sh" is the script of another job too`},
		{"after script", func(p *Plan) { p.Jobs[test].AfterScript.Path = "x.sh" }, `after_script.path: "x.sh" is not jobs/NAME.sh with NAME of [a-z0-9._-]`},

		{"when", func(p *Plan) { p.Jobs[build].When = "never" }, `when: "never" is none of on_success, on_failure, always, manual, delayed`},
		{"start_in alone", func(p *Plan) { p.Jobs[build].StartIn = 3 }, `start_in: only a delayed job has one`},
		{"start_in none", func(p *Plan) { p.Jobs[test].StartIn = 0 }, `start_in: 0 is not from 1 to 604800 seconds`},
		{"start_in long", func(p *Plan) { p.Jobs[test].StartIn = 604801 }, `start_in: 604801 is not from 1 to 604800 seconds`},
		{"timeout none", func(p *Plan) { p.Jobs[build].Timeout = 0 }, `timeout: 0 is not from 1 to 2592000 seconds`},
		{"script timeout long", func(p *Plan) { p.Jobs[build].ScriptTimeout = p.Jobs[build].Timeout }, `script_timeout: 3600 is not shorter than the timeout of 3600 seconds`},
		{"script timeout negative", func(p *Plan) { p.Jobs[build].ScriptTimeout = -1 }, `script_timeout: -1 is not`},
		{"after_script timeout", func(p *Plan) { p.Jobs[build].AfterScriptTimeout, p.Jobs[build].AfterScript = 1, nil }, `after_script_timeout: the job has no after_script`},
		{"after_script timeout long", func(p *Plan) { p.Jobs[build].AfterScriptTimeout = math.MaxInt64 }, `after_script_timeout: 9223372036854775807 is not`},
		{"timeout long", func(p *Plan) { p.Jobs[build].Timeout = math.MaxInt64 }, `timeout: 9223372036854775807 is not`},
		{"allow both", func(p *Plan) { p.Jobs[test].AllowFailure = true }, `allow_failure_exit_codes: allow_failure allows every exit code already`},
		{"exit code", func(p *Plan) { p.Jobs[test].AllowFailureExitCodes[1] = -1 }, `allow_failure_exit_codes[1]: exit code -1 is negative`},
		{"retry max", func(p *Plan) { p.Jobs[test].Retry.Max = 3 }, `retry.max: 3 is not from 0 to 2`},
		{"retry when", func(p *Plan) { p.Jobs[test].Retry.When[0] = "x" }, `retry.when[0]: "x" is none of always, unknown_failure`},
		{"retry code", func(p *Plan) { p.Jobs[test].Retry.ExitCodes[0] = -2 }, `retry.exit_codes[0]: exit code -2 is negative`},
		{"coverage", func(p *Plan) { p.Jobs[test].Coverage = "(" }, "coverage: error parsing regexp: missing closing ): `(`"},
		{"resource group", func(p *Plan) { p.Jobs[test].ResourceGroup = &Text{Value: "\n"} }, `resource_group: "\n" holds a control character`},
		{"environment", func(p *Plan) { p.Jobs[test].Environment.Name.Value = "" }, `environment.name: must not be empty`},
		{"environment action", func(p *Plan) { p.Jobs[test].Environment.Action = "go" }, `environment.action: "go" is none of`},
		{"environment URL", func(p *Plan) { *p.Jobs[test].Environment.URL = text("${") }, `environment.url: template "${": malformed reference at byte 0`},
		{"cpus", func(p *Plan) { p.Jobs[test].Resources.CPUs = math.NaN() }, `resources.cpus: NaN is not a finite number from 0`},
		{"cpus infinite", func(p *Plan) { p.Jobs[test].Resources.CPUs = math.Inf(1) }, `resources.cpus: +Inf is not`},
		{"memory", func(p *Plan) { p.Jobs[test].Resources.Memory = -1 }, `resources.memory: -1 is negative`},
		{"disk", func(p *Plan) { p.Jobs[test].Resources.Disk = -1 }, `resources.disk: -1 is negative`},
		{"pids", func(p *Plan) { p.Jobs[test].Resources.PIDs = -1 }, `resources.pids: -1 is negative`},

		{"external need", func(p *Plan) { p.Jobs[test].ExternalNeeds[0].Pipeline = &Text{Value: "7"} }, `external_needs[0]: must have either a project or a pipeline`},
		{"external nowhere", func(p *Plan) { p.Jobs[test].ExternalNeeds[1].Pipeline = nil }, `external_needs[1]: must have either a project or a pipeline`},
		{"external ref", func(p *Plan) { p.Jobs[test].ExternalNeeds[0].Ref.Value = "" }, `external_needs[0].ref: must not be empty`},
		{"external job", func(p *Plan) { p.Jobs[test].ExternalNeeds[0].Job.Value = "\x1b[2J" }, `external_needs[0].job: "\x1b[2J" holds a control character`},
		{"release tag", func(p *Plan) { p.Jobs[test].Release.TagName.Value = "a\nb" }, `release.tag_name: "a\nb" holds a control character`},
		{"release description", func(p *Plan) { p.Jobs[test].Release.Description.Value = "\x00" }, `release.description: "\x00" holds a NUL`},
		{"release milestone", func(p *Plan) { p.Jobs[test].Release.Milestones[0] = text("${") }, `release.milestones[0]: template "${": malformed`},
		{"release link", func(p *Plan) { p.Jobs[test].Release.Links[0].URL.Value = "\n" }, `release.links[0].url: "\n" holds a control character`},
		{"release link type", func(p *Plan) { p.Jobs[test].Release.Links[0].Type = "x" }, `release.links[0].type: "x" is none of runbook, package, image, other`},

		{"artifacts of nothing", func(p *Plan) { p.Jobs[test].Artifacts.Untracked = false }, `artifacts: has neither paths nor untracked nor reports: leave it out`},
		{"artifact path", func(p *Plan) { p.Jobs[build].Artifacts.Paths[1].Value = "a/../../b" }, `artifacts.paths[1]: "a/../../b" leads out of the project`},
		{"artifact absolute", func(p *Plan) { p.Jobs[build].Artifacts.Paths[0].Value = "/etc" }, `artifacts.paths[0]: "/etc" leads out of the project`},
		{"artifact empty", func(p *Plan) { p.Jobs[build].Artifacts.Paths[0].Value = "" }, `artifacts.paths[0]: must not be empty`},
		{"artifact NUL", func(p *Plan) { p.Jobs[build].Artifacts.Exclude[0].Value = "a\x00b" }, `artifacts.exclude[0]: "a\x00b" holds a NUL`},
		{"artifact when", func(p *Plan) { p.Jobs[build].Artifacts.When = "" }, `artifacts.when: "" is none of on_success, on_failure, always`},
		{"artifact expiry", func(p *Plan) { p.Jobs[build].Artifacts.ExpireIn = -1 }, `artifacts.expire_in: -1 is negative`},
		{"report path", func(p *Plan) { p.Jobs[build].Artifacts.Reports["junit"][0].Value = ".." }, `artifacts.reports["junit"][0]: ".." leads out of the project`},
		{"report empty", func(p *Plan) { p.Jobs[build].Artifacts.Reports["junit"] = nil }, `artifacts.reports["junit"]: must not be empty`},
		{"artifact name", func(p *Plan) { p.Jobs[build].Artifacts.Name.Value = "$" }, `artifacts.name: template "$": single $ at byte 0`},
		{"cache key", func(p *Plan) { c := &p.Jobs[test].Caches[0]; c.KeyFiles, c.KeyCommits, c.Key.Value = nil, false, "" }, `caches[0].key: must not be empty`},
		{"cache key files", func(p *Plan) { p.Jobs[test].Caches[0].KeyFiles[0] = "../x" }, `caches[0].key_files[0]: "../x" leads out of the project`},
		{"cache key commits", func(p *Plan) { p.Jobs[test].Caches[0].KeyFiles = nil }, `caches[0].key_commits: there are no key_files whose commits are meant`},
		{"cache of nothing", func(p *Plan) { c := &p.Jobs[test].Caches[0]; c.Paths, c.Untracked = nil, false }, `caches[0]: has neither paths nor untracked`},
		{"device", func(p *Plan) { p.Jobs[test].Devices[0] = "/dev/../etc" }, `devices[0]: "/dev/../etc" is not the path of a device`},
		{"secret order", func(p *Plan) { p.Jobs[test].Secrets[1].Name = "A" }, `secrets[1].name: secrets must be sorted`},
		{"confirmation", func(p *Plan) { p.Jobs[test].ManualConfirmation = "x" }, `manual_confirmation: only a manual job has one`},
		{"auto_cancel", func(p *Plan) { p.AutoCancel.OnJobFailure = "x" }, `auto_cancel.on_job_failure: "x" is none of`},
		{"tier", func(p *Plan) { p.Jobs[test].Environment.Tier = "x" }, `environment.tier: "x" is none of`},
		{"cache fallback", func(p *Plan) { p.Jobs[test].Caches[0].FallbackKeys[0].Value = "" }, `caches[0].fallback_keys[0]: must not be empty`},
		{"cache path", func(p *Plan) { p.Jobs[test].Caches[0].Paths[0].Value = "../x" }, `caches[0].paths[0]: "../x" leads out of the project`},
		{"cache policy", func(p *Plan) { p.Jobs[test].Caches[0].Policy.Value = "x" }, `caches[0].policy: "x" is none of pull, push, pull-push`},
		{"cache when", func(p *Plan) { p.Jobs[test].Caches[0].When = "x" }, `caches[0].when: "x" is none of`},

		{"excluded name", func(p *Plan) { p.Excluded[0].Name = "" }, `excluded[0].name: must not be empty`},
		{"excluded stage", func(p *Plan) { p.Excluded[0].Stage = "" }, `excluded[0].stage: must not be empty`},
		{"excluded reason", func(p *Plan) { p.Excluded[0].Reason = "" }, `excluded[0].reason: must not be empty`},
		{"excluded present", func(p *Plan) { p.Excluded[0].Name = "build" }, `excluded[0]: "build" is also a job of the plan`},
		{"warning code", func(p *Plan) { p.Warnings[0].Code = "W1" }, `warnings[0].code: "W1" is not CIC and four digits`},
		{"warning text", func(p *Plan) { p.Warnings[0].Message = "" }, `warnings[0].message: must not be empty`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := full(t)
			tc.edit(p)
			err := p.Validate()
			if err == nil {
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v\nwant %s", err, tc.want)
			}
		})
	}
}

func TestValidateScriptPath(t *testing.T) {
	for _, path := range []string{
		"", "build.sh", "/jobs/build.sh", "jobs/../build.sh", "../jobs/build.sh", "jobs//build.sh", "./jobs/build.sh",
		"jobs/Build.sh", "jobs/a b.sh", "jobs/a/b.sh", `jobs\build.sh`, "jobs/.sh", "jobs/-a.sh", "jobs/a", "jobs/a.sh ",
		"jobs/a.sh\n", "jobs/é.sh", "jobs/" + strings.Repeat("a", 98) + ".sh", "jobs/con.sh", "jobs/a.sh/", "jobs/\x00.sh",
	} {
		p := full(t)
		p.Jobs[0].Script.Path = path
		if p.Validate() == nil {
			t.Errorf("%q was accepted", path)
		}
	}
}

// TestValidateImage: whether a name is a reference is for the executor to see, as the
// job of one that is none fails and no other.
func TestValidateImage(t *testing.T) {
	for _, test := range []struct {
		name Text
		ok   bool
	}{
		{Literal("docker.io/library/python:3.11"), true},
		{Text{"registry.example.com/x:${CI_COMMIT_SHA}", true}, true},
		{Literal("Team/App"), true},
		{Literal("a b"), true},
		{Literal("$UNDEF"), true},
		{Literal(""), false},
		{Literal("a\n"), false},
		{Text{"a\x1b${CI_COMMIT_SHA}", true}, false},
		{Text{"a${", true}, false},
	} {
		p := full(t)
		p.Jobs[0].Image.Name = test.name
		if err := p.Validate(); (err == nil) != test.ok {
			t.Errorf("%+v: %v", test.name, err)
		}
	}
}

// TestValidateUser holds the lesson of CVE-2024-40635: a number that does not
// fit 32 bits became root.
func TestValidateUser(t *testing.T) {
	for user, ok := range map[string]bool{
		"": true, "0": true, "1000": true, "1000:1000": true, "root": true, "www-data:www-data": true, "_apt:0": true,
		"2147483647:2147483647": true,
		"2147483648":            false, "2147483648:0": false, "4294967296": false, "0:4294967296": false, "1:2:4294967296": false,
		"+4294967296": false, "-4294967296": false, "root\n": false, "99999999999999999999": false,
		"-1": true, "0x0": true, "1e3": true, "1:": true, "$(id)": true, "a b": true, // of which no image has any
	} {
		p := full(t)
		p.Jobs[0].Image.User = user
		if err := p.Validate(); (err == nil) != ok {
			t.Errorf("%q: %v", user, err)
		}
	}
}

// TestValidateEveryString: no string of a plan may be anything but UTF-8, which
// JSON would silently change.
func TestValidateEveryString(t *testing.T) {
	strings := 0
	p := full(t)
	eachField(reflect.ValueOf(p).Elem(), "", func(path string, v reflect.Value) {
		if v.Kind() != reflect.String {
			return
		}
		strings++
		was := v.String()
		v.SetString(was + "\xff")
		if p.Validate() == nil {
			t.Errorf("%s: not UTF-8, and accepted", path)
		}
		v.SetString(was)
	})
	if strings < 80 {
		t.Errorf("only %d strings", strings)
	}
	bad := "\xff"
	for _, edit := range []func(p *Plan){
		func(p *Plan) { p.Context.Options["artifacts"] = bad },
		func(p *Plan) { p.Context.Options[bad] = "" },
		func(p *Plan) { p.Context.Read["KIND"] = &bad },
		func(p *Plan) { p.Jobs[0].Artifacts.Reports[bad] = []Text{Literal("x")} },
		func(p *Plan) { p.Jobs[0].Artifacts.Reports["junit"][0].Value = bad },
	} {
		p := full(t)
		edit(p)
		if p.Validate() == nil {
			t.Error("a map holds what is not UTF-8, and was accepted")
		}
	}
}

func TestValidationErrorOrderAndCap(t *testing.T) {
	p := full(t)
	p.Warnings[0].Code = "x"
	p.Source = ""
	p.Jobs[3].When, p.Jobs[3].ManualConfirmation = "x", ""
	p.Jobs[0].Timeout = 0
	p.Jobs[0].Needs = []Need{{Job: "nobody"}}
	err := p.Validate()
	want := `invalid plan:
	source: must not be empty
	jobs[0] "build": needs[0]: no job is named "nobody"
	jobs[0] "build": timeout: 0 is not from 1 to 2592000 seconds
	jobs[3] "deploy": when: "x" is none of on_success, on_failure, always, manual, delayed
	warnings[0].code: "x" is not CIC and four digits`
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	var many []Job
	for i := range 5000 {
		j := simple(fmt.Sprintf("j%d", i), "build")
		j.Timeout = 0
		many = append(many, j)
	}
	err = assemble(t, many...).Validate()
	if list, ok := err.(ValidationError); !ok || len(list) != maxProblems {
		t.Errorf("%d problems kept", len(list))
	}
	if text := err.Error(); strings.Count(text, "\n") != 21 || !strings.HasSuffix(text, "\n\tand 980 more") {
		t.Errorf("got %s", text)
	}
}

func TestValidateTooManyJobs(t *testing.T) {
	p := &Plan{Jobs: make([]Job, maxJobs+1)}
	if err := p.Validate(); err == nil || !strings.Contains(err.Error(), "jobs: 100001 jobs are more than 100000") {
		t.Errorf("got %.300v", err)
	}
}

// TestValidateFarInputs: what a job gets may come from any distance, over more
// sources than are checked at once.
func TestValidateFarInputs(t *testing.T) {
	var jobs []Job
	var all []string
	for i := range 200 {
		j := simple(fmt.Sprintf("j%03d", i), "build")
		j.Artifacts = &Artifacts{Untracked: true, When: "always"}
		if i > 0 {
			j.Needs = []Need{{Job: all[i-1], Artifacts: true}}
			j.Inputs = &Inputs{Jobs: append([]string(nil), all...)}
		}
		all = append(all, j.Name)
		jobs = append(jobs, j)
	}
	p := assemble(t, jobs...)
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	p.Jobs[150].Needs = nil
	p.Batches, _ = Levels(p.Stages, p.Jobs)
	list, _ := p.Validate().(ValidationError)
	// Jobs 150 to 199 no longer wait for any of jobs 0 to 149.
	if len(list) != maxProblems || list[0].Path != `jobs[150] "j150": inputs.jobs[0]` || list[0].Msg != `the job does not wait for "j000"` {
		t.Errorf("%d problems, first %+v", len(list), list[0])
	}
}

func TestValidateMap(t *testing.T) {
	good := func() *SourceMap {
		return &SourceMap{FormatVersion: FormatVersion, Files: []string{"a.yml"}, Sources: map[string]string{"ci/a.yml": strings.Repeat("a1", 32)},
			Scripts: map[string][]MapLine{"jobs/a.sh": {{1, 0, 1}, {2, 0, 1}}}}
	}
	if err := good().Validate(); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		edit func(m *SourceMap)
		want string
	}{
		{func(m *SourceMap) { m.FormatVersion = "x" }, `format_version: "x" is not a version of format 1`},
		{func(m *SourceMap) { m.Files[0] = "" }, `files[0]: must not be empty`},
		{func(m *SourceMap) { m.Sources = map[string]string{"../a.yml": strings.Repeat("a", 64)} }, `sources["../a.yml"]: "../a.yml" is not a path below the project`},
		{func(m *SourceMap) { m.Sources = map[string]string{"a.yml": "AB"} }, `sources["a.yml"]: "AB" is not 64 lower-case hexadecimal digits`},
		{func(m *SourceMap) { m.Scripts["../a"] = []MapLine{{1, 0, 1}} }, `scripts["../a"]: "../a" is not jobs/NAME.sh`},
		{func(m *SourceMap) { m.Scripts["jobs/a.sh"] = nil }, `scripts["jobs/a.sh"]: must not be empty`},
		{func(m *SourceMap) { m.Scripts["jobs/a.sh"][0].Line = 0 }, `scripts["jobs/a.sh"][0]: lines count from 1`},
		{func(m *SourceMap) { m.Scripts["jobs/a.sh"][0].Script = -1 }, `scripts["jobs/a.sh"][0]: lines count from 1`},
		{func(m *SourceMap) { m.Scripts["jobs/a.sh"][1].Script = 1 }, `scripts["jobs/a.sh"][1]: lines of the script must ascend`},
		{func(m *SourceMap) { m.Scripts["jobs/a.sh"][1].File = 1 }, `scripts["jobs/a.sh"][1]: file 1 does not exist`},
		{func(m *SourceMap) { m.Scripts["jobs/a.sh"][1].File = -1 }, `scripts["jobs/a.sh"][1]: file -1 does not exist`},
	} {
		m := good()
		test.edit(m)
		if err := m.Validate(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("got %v, want %s", err, test.want)
		}
	}
}
