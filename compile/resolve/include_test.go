package resolve

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/cic-ci/cic/compile/syntax"
)

// resolveFiles resolves the file main.yml of a txtar archive, the others being its
// project; diagnostics are listed one a line.
func resolveFiles(t *testing.T, archive string, o Options) (*syntax.Node, []string) {
	t.Helper()
	project := fstest.MapFS{}
	for _, f := range txtar.Parse([]byte(archive)).Files {
		project[f.Name] = &fstest.MapFile{Data: f.Data}
	}
	o.Project = project
	if o.Lookup == nil {
		o.Lookup = func(name string) (string, bool) {
			value, ok := map[string]string{"CI_COMMIT_REF_NAME": "main", "CI_PROJECT_NAME": "shop", "DIR": "ci"}[name]
			return value, ok
		}
	}
	r, errs := Resolve("main.yml", project["main.yml"].Data, o)
	var list []string
	for _, e := range errs {
		s := fmt.Sprintf("%s %s %s", e.Pos, e.Code, e.Msg)
		if e.Help != "" {
			s += " (" + e.Help + ")"
		}
		for _, n := range e.Notes {
			s += fmt.Sprintf(" | %s %s", n.Pos, n.Msg)
		}
		list = append(list, s)
	}
	return r.Root, list
}

func TestInclude(t *testing.T) {
	for _, test := range []struct{ name, files, want string }{
		{"the including file is on top, wherever include stands", `
-- main.yml --
a: {script: [own], variables: {X: own}}
include: base.yml
-- base.yml --
a: {script: [base, base], variables: {X: base, Y: base}}
b: {script: [b]}
`, "{a: {script: [own], variables: {X: own, Y: base}}, b: {script: [b]}}"},
		{"later files are over earlier ones", `
-- main.yml --
include: [one.yml, local: two.yml]
-- one.yml --
a: {x: 1, y: 1}
-- two.yml --
a: {x: 2}
`, "{a: {x: 2, y: 1}}"},
		{"nested, below the file that includes", `
-- main.yml --
include: /dir/one.yml
-- dir/one.yml --
include: dir/two.yaml
a: {x: 1}
-- dir/two.yaml --
a: {x: 2, y: 2}
`, "{a: {x: 1, y: 2}}"},
		{"the same file twice", `
-- main.yml --
include: [one.yml, two.yml, one.yml]
-- one.yml --
a: {x: 1}
-- two.yml --
a: {x: 2}
`, "{a: {x: 1}}"},
		{"a diamond", `
-- main.yml --
include: [b.yml, c.yml]
-- b.yml --
include: d.yml
b: {x: 1}
-- c.yml --
include: d.yml
c: {x: 1}
-- d.yml --
d: {x: 1}
`, "{d: {x: 1}, b: {x: 1}, c: {x: 1}}"},
		{"extends and references across files", `
-- main.yml --
include: base.yml
a: {extends: .base, script: [!reference [.base, before], x]}
-- base.yml --
.base: {image: i, before: [y]}
`, "{.base: {image: i, before: [y]}, a: {image: i, before: [y], script: [[y], x]}}"},
		{"star: within a directory", `
-- main.yml --
include: configs/*.yml
-- configs/b.yml --
b: {x: 1}
-- configs/a.yml --
a: {x: 1}
-- configs/sub/c.yml --
c: {x: 1}
-- configs/d.txt --
nothing: of this
`, "{a: {x: 1}, b: {x: 1}}"},
		{"two stars: below as well", `
-- main.yml --
include: configs/**.yml
-- configs/a.yml --
a: {x: 1}
-- configs/sub/c.yml --
c: {x: 1}
`, "{a: {x: 1}, c: {x: 1}}"},
		{"two stars and a slash: only below", `
-- main.yml --
include: configs/**/*.yml
-- configs/a.yml --
a: {x: 1}
-- configs/sub/c.yml --
c: {x: 1}
`, "{c: {x: 1}}"},
		{"variables", `
-- main.yml --
include: "$DIR/${CI_COMMIT_REF_NAME}$UNKNOWN.yml"
-- ci/main.yml --
a: {x: 1}
`, "{a: {x: 1}}"},
		{"rules", `
-- main.yml --
include:
  - {local: a.yml, rules: [{if: $CI_COMMIT_REF_NAME == "main"}]}
  - {local: b.yml, rules: [{if: $CI_COMMIT_REF_NAME == "main", when: never}, {when: always}]}
  - {local: c.yml, rules: [{if: $UNKNOWN}]}
  - {local: d.yml, rules: [{exists: [a.yml]}]}
  - {local: e.yml, rules: [{exists: {paths: [none]}}]}
  - {local: f.yml, rules: [{changes: {paths: [x], compare_to: main}}]}
  - {local: g.yml, rules: []}
-- a.yml --
a: {x: 1}
-- b.yml --
b: {x: 1}
-- c.yml --
c: {x: 1}
-- d.yml --
d: {x: 1}
-- e.yml --
e: {x: 1}
-- f.yml --
f: {x: 1}
-- g.yml --
g: {x: 1}
`, "{a: {x: 1}, d: {x: 1}, f: {x: 1}}"},
		{"null and empty", "-- main.yml --\ninclude: [null]\na: {x: 1}\n", "{a: {x: 1}}"},
	} {
		t.Run(test.name, func(t *testing.T) {
			root, errs := resolveFiles(t, test.files, Options{
				Exists: func(c PathClause) (bool, error) {
					return c.Regexp == "^a" || len(c.Patterns) > 0 && c.Patterns[0] == "a.yml", nil
				},
				Changed: func(c PathClause) (bool, error) { return c.Patterns[0] == "x" && c.CompareTo == "main", nil },
			})
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			if diff := cmp.Diff(test.want, text(root)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestInputs(t *testing.T) {
	root, errs := resolveFiles(t, `
-- main.yml --
include:
  - local: job.yml
    inputs: {name: unit, count: 3, flag: true, list: [1, "a b"]}
  - {local: job.yml, inputs: {name: unity, list: []}}
-- job.yml --
spec:
  inputs:
    name: {regex: ^un}
    count: {type: number, options: [1, 3], default: 1}
    flag: {type: boolean, default: false}
    list: {type: array}
    text: {default: "it's $CI_PROJECT_NAME"}
    mode:
      rules:
        - {if: '$[[ inputs.name ]] == "unit" && $[[ inputs.flag ]] == true', options: [fast, slow], default: fast}
        - {default: none}
---
"$[[ inputs.name ]]-job":
  parallel: $[[ inputs.count ]]
  interruptible: $[[inputs.flag]]
  tags: $[[ inputs.list ]]
  mode: $[[ inputs.mode ]]
  script:
    - "echo $[[ inputs.list ]] $[[ inputs.count ]] $[[ inputs.flag ]]"
    - echo $[[ inputs.text | expand_vars | posix_escape ]] $[[ inputs.text | truncate(0, 4) ]] $[[ matrix.x ]]
    - |
      echo one
      echo $[[ inputs.name ]]
`, Options{})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	want := "{unit-job: {parallel: 3, interruptible: true, tags: [1, a b], mode: fast, script: [echo [1,\"a b\"] 3 true, echo it\\'s\\ shop it's $[[ matrix.x ]], echo one\necho unit\n]}, " +
		"unity-job: {parallel: 1, interruptible: false, tags: [], mode: none, script: [echo [] 1 false, echo it\\'s\\ shop it's $[[ matrix.x ]], echo one\necho unity\n]}}"
	if diff := cmp.Diff(want, text(root)); diff != "" {
		t.Error(diff)
	}
	job := root.Get("unit-job")
	if job.Get("parallel").Kind != syntax.Int || job.Get("interruptible").Kind != syntax.Bool || job.Get("script").Items[0].Kind != syntax.String {
		t.Error("a value has not the type of its input")
	}
	if line := job.Get("script").Items[2].LinePos(1).Line; line != 23 {
		t.Errorf("the second line of the block is on line %d", line)
	}
}

func TestCommandLineInputs(t *testing.T) {
	const in = `
-- main.yml --
spec: {inputs: {a: , n: {type: number}, b: {type: boolean}, l: {type: array}}}
---
x: {a: "$[[ inputs.a ]]", n: "$[[ inputs.n ]]", b: "$[[ inputs.b ]]", l: "$[[ inputs.l ]]"}
`
	root, errs := resolveFiles(t, in, Options{Inputs: map[string]string{"a": "12", "n": "4.5", "b": "true", "l": "[x, 1]"}})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if got := text(root); got != "{x: {a: 12, n: 4.5, b: true, l: [x, 1]}}" || root.Get("x").Get("a").Kind != syntax.String || root.Get("x").Get("n").Kind != syntax.Float {
		t.Error(got)
	}
	_, errs = resolveFiles(t, in, Options{Inputs: map[string]string{"n": "many", "z": "1"}})
	want := []string{
		"- CIC2021 the value of input \"n\" must be of type number, not a string",
		"main.yml:1:1 CIC2020 main.yml needs a value for its input \"a\" (pass it with --input NAME=VALUE) | main.yml:1:17 declared here without a default",
		"main.yml:1:1 CIC2020 main.yml needs a value for its input \"b\" (pass it with --input NAME=VALUE) | main.yml:1:41 declared here without a default",
		"main.yml:1:1 CIC2020 main.yml needs a value for its input \"l\" (pass it with --input NAME=VALUE) | main.yml:1:61 declared here without a default",
		"- CIC2020 main.yml has no input \"z\"",
	}
	if diff := cmp.Diff(want, errs); diff != "" {
		t.Error(diff)
	}
}

func TestIncludeDiagnostics(t *testing.T) {
	for _, test := range []struct {
		name, files string
		want        []string
	}{
		{"missing", "-- main.yml --\ninclude: ci/biuld.yml\n-- ci/build.yml --\na: {x: 1}\n", []string{
			`main.yml:1:10 CIC2014 the included file "ci/biuld.yml" does not exist (did you mean "ci/build.yml"?)`}},
		{"outside", "-- main.yml --\ninclude: ../../etc/passwd.yml\n", []string{
			`main.yml:1:10 CIC2013 the included file "../../etc/passwd.yml" is outside of the project`}},
		{"empty name", "-- main.yml --\ninclude: [{local: ''}, /]\n", []string{
			`main.yml:1:19 CIC2013 include:local names no file`, `main.yml:1:24 CIC2013 include:local names no file`}},
		{"NUL", "-- main.yml --\ninclude: \"a\\0b.yml\"\n", []string{
			`main.yml:1:10 CIC2014 the included file "a\x00b.yml" does not exist (paths of local files are relative to the root of the project)`}},
		{"extension", "-- main.yml --\ninclude: [a.txt, 5]\n", []string{
			`main.yml:1:11 CIC2013 the included file "a.txt" does not end in .yml or .yaml`,
			`main.yml:1:18 CIC2002 include takes the path of a file or a mapping, not an integer`}},
		{"cycle", "-- main.yml --\ninclude: a.yml\n-- a.yml --\ninclude: b.yml\n-- b.yml --\ninclude: a.yml\n", []string{
			`b.yml:1:10 CIC2015 include goes in a circle: a.yml -> b.yml -> a.yml | a.yml:1:10 included here | main.yml:1:10 included here`}},
		{"itself", "-- main.yml --\ninclude: main.yml\n", []string{`main.yml:1:10 CIC2015 include goes in a circle: main.yml -> main.yml`}},
		{"two places", "-- main.yml --\ninclude: {local: a.yml, remote: https://x.example/a.yml}\n", []string{
			`main.yml:1:10 CIC2002 an entry of include has exactly one of local, remote, template, project and component | main.yml:1:25 "remote" is another one`}},
		{"unknown key", "-- main.yml --\ninclude: {lcoal: a.yml}\n", []string{`main.yml:1:11 CIC2001 include has no key "lcoal" (did you mean "local"?)`}},
		{"key of another", "-- main.yml --\ninclude: {local: a.yml, ref: x}\n", []string{`main.yml:1:25 CIC2002 "ref" belongs to include:project, not to include:local`}},
		{"no glob match", "-- main.yml --\ninclude: ci/*.yml\na: {x: 1}\n", []string{`main.yml:1:10 CIC2023 no file of the project matches "ci/*.yml": nothing is included`}},
		{"error inside", "-- main.yml --\ninclude: a.yml\n-- a.yml --\na: {x: [}\n", []string{
			`a.yml:1:9 CIC1007 unexpected "}" | main.yml:1:10 included here`}},
		{"error in a file included twice", "-- main.yml --\ninclude: [a.yml, a.yml]\n-- a.yml --\na: {x: 1, x: 2}\n", []string{
			`a.yml:1:11 CIC1017 the key "x" is defined twice; the last value counts | a.yml:1:5 first defined here | main.yml:1:11 included here`}},
		{"empty file", "-- main.yml --\ninclude: a.yml\n-- a.yml --\n# nothing\n", nil},
		{"remote", "-- main.yml --\ninclude: https://x.example/a.yml\n", []string{
			`main.yml:1:10 CIC2018 remote https://x.example/a.yml is not in the project, and there is no copy of it (fetch copies with: cic vendor --allow-remote-include; or go on without it: --stub-includes)`}},
		{"project", "-- main.yml --\ninclude: {project: g/p, ref: v1, file: [/a.yml, b.txt]}\n", []string{
			`main.yml:1:49 CIC2013 the included file "b.txt" does not end in .yml or .yaml, or is no path`,
			`main.yml:1:20 CIC2018 project g/p a.yml at v1 is not in the project, and there is no copy of it (fetch copies with: cic vendor --allow-remote-include; or go on without it: --stub-includes)`}},
		{"alias", "-- main.yml --\n.x:\n  - &where https://x.example/a.yml\ninclude:\n  - remote: *where\n", []string{
			`main.yml:4:5 CIC2018 remote https://x.example/a.yml is not in the project, and there is no copy of it (fetch copies with: cic vendor --allow-remote-include; or go on without it: --stub-includes)`}},
		{"rules", "-- main.yml --\ninclude: {local: a.yml, rules: [{if: main}, {when: manual}, {fi: x}, 5]}\n", []string{
			`main.yml:1:38 CIC2017 the condition cannot be parsed: unexpected word "main"`,
			`main.yml:1:52 CIC2017 the "when" of a rule of include is always or never, not "manual"`,
			`main.yml:1:62 CIC2001 rule of include has no key "fi" (did you mean "if"?)`,
			`main.yml:1:70 CIC2017 a rule of include is a mapping, not an integer`}},
		{"inputs without header", "-- main.yml --\ninclude: {local: a.yml, inputs: {x: 1}}\n-- a.yml --\na: {x: 1}\n", []string{
			`main.yml:1:34 CIC2020 a.yml declares no inputs: it has no "spec"`}},
		{"inputs", `
-- main.yml --
include: {local: a.yml, inputs: {s: 1, o: z, r: b, extra: 1}}
-- a.yml --
spec:
  inputs: {s: , o: {options: [x, y]}, r: {regex: ^a}, m: , d: {default: 5}, t: {type: list}}
---
a: {x: "$[[ inputs.sx ]] $[[ inputs.s | upper ]] $[[ x ]]"}
`, []string{
			`a.yml:2:73 CIC2021 the default of input "d" must be of type string, not an integer | main.yml:1:18 included here`,
			`a.yml:2:87 CIC2019 the type of an input is string, number, boolean or array, not "list" | main.yml:1:18 included here`,
			`main.yml:1:37 CIC2021 the value of input "s" must be of type string, not an integer`,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, errs := resolveFiles(t, test.files, Options{})
			if test.name == "empty file" {
				if len(errs) != 1 || !strings.Contains(errs[0], "a.yml:1:1 CIC1004") {
					t.Error(errs)
				}
				return
			}
			if test.name == "inputs" {
				errs = errs[:min(len(errs), len(test.want))]
			}
			if diff := cmp.Diff(test.want, errs); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestIncludeLimit(t *testing.T) {
	archive := "-- main.yml --\ninclude: [" + strings.Repeat("a.yml, ", MaxIncludes) + "]\n-- a.yml --\na: {x: 1}\n"
	if _, errs := resolveFiles(t, archive, Options{}); len(errs) > 0 {
		t.Error(errs)
	}
	archive = strings.Replace(archive, "a.yml, ", "a.yml, a.yml, a.yml, ", 1)
	_, errs := resolveFiles(t, archive, Options{})
	if len(errs) != 1 || !strings.Contains(errs[0], "CIC2016 the pipeline includes more than 150 files") {
		t.Error(errs)
	}
}

func TestVendored(t *testing.T) {
	copies := map[string]string{
		"project g/p a.yml at v1":               "include: /sub/b.yml\na: {x: 1}\n",
		"project g/p sub/b.yml at v1":           "b: {x: 1}\n",
		"component x.example/g/p/build@1.0":     "spec: {inputs: {n: }}\n---\nc: {x: \"$[[ inputs.n ]]\"}\n",
		"remote https://x.example/a.yml":        "d: {x: 1}\n",
		"template Jobs/SAST.gitlab-ci.yml":      "include: {local: other.yml}\n",
		"remote https://x.example/includes.yml": "include: y.yml\n",
	}
	o := Options{Vendored: func(loc Location) (string, []byte, error) {
		data, ok := copies[loc.String()]
		if !ok {
			return "", nil, fs.ErrNotExist
		}
		return "vendor/" + loc.String(), []byte(data), nil
	}}
	root, errs := resolveFiles(t, `
-- main.yml --
include:
  - {project: g/p, file: a.yml, ref: v1}
  - {component: x.example/g/p/build@1.0, inputs: {n: v}}
  - https://x.example/a.yml
`, o)
	if diff := cmp.Diff("{b: {x: 1}, a: {x: 1}, c: {x: v}, d: {x: 1}}", text(root)); diff != "" || len(errs) > 0 {
		t.Error(diff, errs)
	}
	_, errs = resolveFiles(t, "-- main.yml --\ninclude: {template: Jobs/SAST.gitlab-ci.yml}\n", o)
	if want := "vendor/template Jobs/SAST.gitlab-ci.yml:1:18 CIC2013 a local file cannot be included by template Jobs/SAST.gitlab-ci.yml | main.yml:1:21 included here"; len(errs) != 1 || errs[0] != want {
		t.Error(errs)
	}
	o.Stub = true
	root, errs = resolveFiles(t, "-- main.yml --\ninclude: {template: Auto.gitlab-ci.yml}\na: {script: x}\n", o)
	if text(root) != "{a: {script: x}}" || len(errs) != 1 || !strings.Contains(errs[0], "CIC2024 template Auto.gitlab-ci.yml is left out") {
		t.Error(text(root), errs)
	}
}
