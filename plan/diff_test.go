package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"testing"
)

func noScript(bool, string) ([]byte, error) { return nil, nil }

func compare(t *testing.T, old, new *Plan) *Diff {
	t.Helper()
	d, err := Compare(old, new, noScript)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestCompareSeesEverything: whatever field of a plan changes, the difference
// is not empty, in either direction.
func TestCompareSeesEverything(t *testing.T) {
	p, q := full(t), full(t)
	if d := compare(t, p, q); !d.Empty() {
		t.Fatalf("a plan differs from itself: %+v", d)
	}
	fields := 0
	eachField(reflect.ValueOf(q).Elem(), "", func(path string, v reflect.Value) {
		fields++
		undo := change(v)
		if reflect.DeepEqual(p, q) {
			t.Fatalf("%s was not changed", path)
		}
		if compare(t, p, q).Empty() || compare(t, q, p).Empty() {
			t.Errorf("a change of %s is not seen", path)
		}
		undo()
	})
	if !reflect.DeepEqual(p, q) || fields < 300 {
		t.Errorf("%d fields changed, and undone: %v", fields, reflect.DeepEqual(p, q))
	}
	value := "x"
	for name, edit := range map[string]func(p *Plan){
		"option":      func(p *Plan) { p.Context.Options["artifacts"] = "x" },
		"read":        func(p *Plan) { p.Context.Read["KIND"] = &value },
		"read to nil": func(p *Plan) { p.Context.Read["KIND"] = nil },
		"nil to read": func(p *Plan) { p.Context.Read["NONE"] = &value },
		"report":      func(p *Plan) { p.Jobs[0].Artifacts.Reports["junit"][0] = Literal("x") },
		"order":       func(p *Plan) { p.Jobs[0], p.Jobs[1] = p.Jobs[1], p.Jobs[0] },
		"list order":  func(p *Plan) { a := p.Jobs[0].Artifacts.Paths; a[0], a[1] = a[1], a[0] },
		"twice":       func(p *Plan) { p.Jobs[0].Artifacts.Paths = append(p.Jobs[0].Artifacts.Paths, Literal("dist/")) },
		"template":    func(p *Plan) { p.Jobs[0].Artifacts.Name.Template = false },
		"empty":       func(p *Plan) { p.Jobs[0].Resources = &Resources{} },
	} {
		q := full(t)
		edit(q)
		if compare(t, p, q).Empty() || compare(t, q, p).Empty() {
			t.Errorf("%s: not seen", name)
		}
	}
}

func TestCompareText(t *testing.T) {
	old, new := plain(t), plain(t)
	new.Context.Ref = "develop"
	new.Jobs[0].Image.Name = Literal("docker.io/library/alpine:3.21")
	new.Jobs[0].Artifacts.Paths = []Text{Literal("*.log"), Literal("out/")}
	new.Jobs[0].Script.SHA256 = digest([]byte("new"))
	test := &new.Jobs[2]
	test.Needs = test.Needs[:1]
	test.Variables = Variables{{"APP", Literal("b")}, {"NEW", Text{"${CI_JOB_ID}", true}}}
	test.Timeout = 700
	test.Privileged = false
	test.Retry.ExitCodes = nil
	test.AfterScript = nil
	added := simple("smoke", "deploy")
	new.Jobs = append(new.Jobs[:1:1], *test, added)
	new.Batches = [][]string{{"build", "smoke"}, {"test: [3.11, sqlite]"}}
	new.Excluded = append(new.Excluded, Excluded{Name: "deploy", Stage: "deploy", Reason: "only: main"})
	asked := ""
	d, err := Compare(old, new, func(isOld bool, path string) ([]byte, error) {
		asked += fmt.Sprint(isOld, " ", path, "\n")
		if isOld {
			return []byte("old\n"), nil
		}
		return []byte("new\n"), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantAsked := "true jobs/build.sh\nfalse jobs/build.sh\ntrue " + old.Jobs[2].AfterScript.Path + "\n"
	if asked != wantAsked {
		t.Errorf("asked for\n%s", asked)
	}
	var b bytes.Buffer
	err = d.WriteText(&b, func(name string, old, new []byte) []byte {
		return fmt.Appendf(nil, "%s: %q %q\n\x1b\n", name, old, new)
	})
	if err != nil {
		t.Fatal(err)
	}
	const want = `context.ref: main -> develop
batches[0]: - lint
batches[0]: + smoke
batches[2]: - deploy
excluded: + deploy (stage deploy): only: main
- job lint (stage build, image docker.io/library/alpine:3.20)
- job deploy (stage deploy, image docker.io/library/alpine:3.20)
+ job smoke (stage deploy, image docker.io/library/alpine:3.20)
~ job build
    image.name: docker.io/library/alpine:3.20 -> docker.io/library/alpine:3.21
    artifacts.paths: - dist/
    artifacts.paths: + out/
    jobs/build.sh: "old\n" "new\n"
    \x1b
~ job test: [3.11, sqlite]
    variables.APP: "a <b> & 'c'\n" -> b
    variables.NEW: + template ${CI_JOB_ID}
    variables.WHO: - template ${GITLAB_USER_NAME} $$
    needs: - lint (artifacts: false) (optional: true)
    retry.exit_codes: - 1
    timeout: 600 -> 700
    after_script.path: - jobs/test-3.11-sqlite-c6c7bf037aa1.after.sh
    after_script.sha256: - 9ab8fabc8c72bfa0416414631e26bd71b01f9dfae98dcf4656b1e2d78307876a
    after_script.shell: - sh
    privileged: - true
    jobs/test-3.11-sqlite-c6c7bf037aa1.after.sh: "old\n" ""
    \x1b
`
	if got := b.String(); got != want {
		t.Errorf("got\n%s", got)
	}
}

func TestCompareJSON(t *testing.T) {
	old, new := full(t), full(t)
	new.Jobs[0].Image.User = "1000"
	new.Jobs[1].Script.SHA256 = digest([]byte("x"))
	d, err := Compare(old, new, func(isOld bool, path string) ([]byte, error) { return []byte(path[5:6]), nil })
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"format_version":"1.0","changed":[` +
		`{"name":"build","changes":[{"field":"image.user","new":"1000"}]},` +
		`{"name":"lint","scripts":[{"field":"script","path":"jobs/lint.sh","old":"l","new":"l"}]}]}`
	if string(data) != want {
		t.Errorf("got %s", data)
	}
	if data, _ := json.Marshal(compare(t, old, old)); string(data) != `{"format_version":"1.0"}` {
		t.Errorf("no difference: %s", data)
	}
}

func TestCompareScriptError(t *testing.T) {
	old, new := full(t), full(t)
	new.Jobs[0].Script.SHA256 = digest([]byte("x"))
	gone := errors.New("gone")
	if _, err := Compare(old, new, func(bool, string) ([]byte, error) { return nil, gone }); !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
}

func TestCompareOrderOnly(t *testing.T) {
	old, new := full(t), full(t)
	new.Jobs[2].Image.PullPolicy = []string{"if-not-present", "always"}
	var b bytes.Buffer
	if err := compare(t, old, new).WriteText(&b, nil); err != nil {
		t.Fatal(err)
	}
	if want := "~ job test: [3.11, sqlite]\n    image.pull_policy: always, if-not-present -> if-not-present, always\n"; b.String() != want {
		t.Errorf("got\n%s", b.String())
	}
}
