package cmd

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/plan"
)

// contextOf is what flags say of ref and event in a project.
func contextOf(t *testing.T, p *project, args ...string) (plan.Context, error) {
	t.Helper()
	var at plan.Context
	app := &cli.App{
		Flags:          eventFlags(),
		Writer:         &bytes.Buffer{},
		ExitErrHandler: func(*cli.Context, error) {},
		Action: func(c *cli.Context) (err error) {
			at, err = eventContext(c, p)
			return err
		},
	}
	err := app.RunContext(context.Background(), append([]string{"cic"}, args...))
	return at, err
}

func TestEventContext(t *testing.T) {
	branch := &project{ref: "topic", facts: map[string]string{"CI_DEFAULT_BRANCH": "trunk"}}
	detached := &project{ref: "v1", tag: true, facts: branch.facts}
	for _, test := range []struct {
		p    *project
		args string
		want string // ref type, ref, event, target; or the error
	}{
		{branch, "", "branch topic push"},
		{detached, "", "tag v1 push"},
		{branch, "--tag v2", "tag v2 push"},
		{branch, "--event tag --tag v2", "tag v2 push"},
		{detached, "--event tag", "tag v1 push"},
		{detached, "--ref main", "branch main push"},
		{detached, "--event schedule", "tag v1 schedule"},
		{branch, "--event schedule --ref main", "branch main schedule"},
		{branch, "--event web", "branch topic web"},
		{branch, "--event trigger", "branch topic trigger"},
		{branch, "--event api", "branch topic api"},
		{branch, "--event pipeline", "branch topic pipeline"},
		{branch, "--event parent_pipeline", "branch topic parent_pipeline"},
		{branch, "--event external_pull_request", "branch topic external_pull_request_event"},
		{branch, "--event merge_request", "branch topic merge_request_event trunk"},
		{branch, "--event merge_request_event --target-branch next", "branch topic merge_request_event next"},
		{detached, "--event merge_request --ref topic", "branch topic merge_request_event trunk"},
		{detached, "--event merge_request", `a merge request is made of a branch, not of the tag "v1": name the branch with --ref`},
		{branch, "--event merge_request --tag v1", `a merge request is made of a branch, not of the tag "v1": name the branch with --ref`},
		{branch, "--target-branch main", "--target-branch is for --event merge_request"},
		{branch, "--event tag --ref main", "--event tag needs --tag TAG instead of --ref"},
		{branch, "--ref a --tag b", "--ref and --tag exclude each other"},
		{branch, "--event shedule", "--event is push, tag, merge_request, or one of web, schedule, api, trigger, pipeline, parent_pipeline, merge_request_event, external, external_pull_request_event, chat, webide, not \"shedule\""},
	} {
		at, err := contextOf(t, test.p, strings.Fields(test.args)...)
		got := strings.TrimSpace(at.RefType + " " + at.Ref + " " + at.Event + " " + at.TargetBranch)
		if err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s: %s, want %s", test.args, got, test.want)
		}
	}
	dir := t.TempDir()
	git(t, dir, "init", "-q")
	git(t, dir, "commit", "-q", "--allow-empty", "-m", "one")
	const untagged = "--event tag needs --tag TAG: the commit that is checked out has no tag"
	if _, err := contextOf(t, open(t, dir), "--event", "tag"); err == nil || err.Error() != untagged {
		t.Errorf("without a tag: %v", err)
	}
	git(t, dir, "tag", "v3")
	if at, err := contextOf(t, open(t, dir), "--event", "tag"); err != nil || at.Ref != "v3" || at.RefType != "tag" {
		t.Errorf("on a tagged commit: %+v, %v", at, err)
	}
}

// TestCheckoutVariables is the part of section 19 that follows from git and the event.
func TestCheckoutVariables(t *testing.T) {
	dir := t.TempDir()
	commit := func(message string) string {
		git(t, dir, "commit", "-q", "--allow-empty", "-m", message)
		return open(t, dir).facts["CI_COMMIT_SHA"]
	}
	git(t, dir, "init", "-q", "-b", "master")
	first := commit("one")
	git(t, dir, "checkout", "-q", "-b", "topic")
	long := strings.Repeat("x", 100)
	commit("two")
	commit(long + "\n\nbody")
	git(t, dir, "tag", "-a", "v1", "-m", "release\n\nnotes")
	git(t, dir, "tag", "v2")
	p := open(t, dir)
	if p.facts["CI_DEFAULT_BRANCH"] != "master" {
		t.Errorf("the default branch is %q, and only master exists", p.facts["CI_DEFAULT_BRANCH"])
	}
	if got := p.facts["CI_COMMIT_DESCRIPTION"]; got != long+"\n\nbody" {
		t.Errorf("the description of a commit with a long title is %q", got)
	}
	push := plan.Context{Ref: "topic", RefType: "branch", Event: "push"}
	merge := plan.Context{Ref: "topic", RefType: "branch", Event: plan.EventMergeRequest, TargetBranch: "master"}
	for _, test := range []struct {
		at         plan.Context
		name, want string
		defined    bool
	}{
		{push, "CI_COMMIT_BEFORE_SHA", p.facts["CI_COMMIT_BEFORE_SHA"], true},
		{merge, "CI_COMMIT_BEFORE_SHA", noCommit, true},
		{plan.Context{Ref: "topic", RefType: "branch", Event: "schedule"}, "CI_COMMIT_BEFORE_SHA", noCommit, true},
		{plan.Context{Ref: "v1", RefType: "tag", Event: "push"}, "CI_COMMIT_BEFORE_SHA", noCommit, true},
		{plan.Context{Ref: "v1", RefType: "tag", Event: "push"}, "CI_COMMIT_TAG_MESSAGE", "release\n\nnotes", true},
		{plan.Context{Ref: "v2", RefType: "tag", Event: "push"}, "CI_COMMIT_TAG_MESSAGE", "", true},
		{push, "CI_COMMIT_TAG_MESSAGE", "", false},
		{push, "CI_MERGE_REQUEST_DIFF_BASE_SHA", "", false},
		{merge, "CI_MERGE_REQUEST_DIFF_BASE_SHA", first, true},
		{merge, "CI_MERGE_REQUEST_TITLE", long, true},
		{merge, "CI_MERGE_REQUEST_PROJECT_PATH", "local/" + filepath.Base(p.dir), true},
		{merge, "CI_MERGE_REQUEST_SOURCE_PROJECT_URL", p.facts["CI_PROJECT_URL"], true},
	} {
		got, defined := p.variables(context.Background(), test.at)[test.name]
		if got != test.want || defined != test.defined {
			t.Errorf("%s for %s %s: %q (defined: %t), want %q", test.name, test.at.Event, test.at.Ref, got, defined, test.want)
		}
	}
	for name := range p.variables(context.Background(), merge) {
		if !plan.RuntimeVariable(name) {
			t.Errorf("%s depends on the checkout and is not among the variables known at run time", name)
		}
	}
}

// TestChanges: what differs includes what is not committed and what is new, but
// nothing that git ignores.
func TestChanges(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	git(t, dir, "init", "-q", "-b", "main")
	write(".gitignore", "*.log\n")
	for _, name := range []string{"same", "committed", "staged", "edited", "deleted", "moved"} {
		write(name, name)
	}
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-q", "-m", "one")
	git(t, dir, "checkout", "-q", "-b", "topic")
	write("committed", "x")
	git(t, dir, "commit", "-q", "-a", "-m", "two")
	git(t, dir, "checkout", "-q", "main")
	write("elsewhere", "x")
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-q", "-m", "main goes on")
	git(t, dir, "checkout", "-q", "topic")
	write("staged", "x")
	git(t, dir, "add", "staged")
	write("edited", "x")
	write("new/file", "x")
	write("out.log", "x")
	git(t, dir, "mv", "moved", "there")
	if err := os.Remove(filepath.Join(dir, "deleted")); err != nil {
		t.Fatal(err)
	}
	p := open(t, dir)
	got, known, err := p.changes(context.Background(), "main")("")
	if want := []string{"committed", "deleted", "edited", "moved", "new/file", "staged", "there"}; err != nil || !known || !slices.Equal(got, want) {
		t.Errorf("changes: %q, %t, %v, want %q", got, known, err, want)
	}
	if _, known, err := p.changes(context.Background(), "")(""); known || err != nil {
		t.Errorf("with nothing to compare with: %t, %v", known, err)
	}
	if _, _, err := p.changes(context.Background(), "")("-x"); err == nil || err.Error() != `"-x" is not a valid ref` {
		t.Errorf("an option for a ref: %v", err)
	}
	files, err := p.files(context.Background())
	slices.Sort(files)
	if want := []string{".gitignore", "committed", "edited", "new/file", "same", "staged", "there"}; err != nil || !slices.Equal(files, want) {
		t.Errorf("files: %q, %v, want %q", files, err, want)
	}
}
