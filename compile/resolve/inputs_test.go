package resolve

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is wrong with a declaration is said once: nothing about its value follows.
func TestInputDeclarations(t *testing.T) {
	for _, test := range []struct {
		name, inputs string
		want         []string
	}{
		{"regex", `{a: {regex: 3}, b: {regex: (}}`, []string{
			`main.yml:1:28 CIC2019 the regex of an input is a text, not an integer`,
			"main.yml:1:43 CIC2019 the regex of an input must be a regular expression: error parsing regexp: missing closing ): `(`",
		}},
		{"condition", `{a: {rules: [{if: true, default: x}]}}`, []string{
			`main.yml:1:34 CIC2019 the condition of a rule is a text, not a boolean`,
		}},
		{"null default", `{a: {default: null}}`, []string{`main.yml:1:30 CIC2021 the default of input "a" must be of type string, not null`}},
		{"boolean name", `{on: {default: x}}`, []string{
			`main.yml:1:17 CIC2019 the name of an input must be a string, but YAML reads on as a boolean (quote it: "on")`,
		}},
		{"no mapping", `{a: x}`, []string{`main.yml:1:20 CIC2019 the input "a" is a mapping, not a string`}},
		{"options", `{a: {type: array, default: [1], options: [[2]]}}`, []string{
			`main.yml:1:43 CIC2021 input "a" cannot be "[1]", which is not in its list of options: "[2]"`,
		}},
		{"none", `{a: }`, []string{
			`main.yml:1:1 CIC2020 main.yml needs a value for its input "a" (pass it with --input NAME=VALUE) | main.yml:1:17 declared here without a default`,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, errs := resolveFiles(t, "-- main.yml --\nspec: {inputs: "+test.inputs+"}\n---\nx: {y: z}\n", Options{})
			if diff := cmp.Diff(test.want, errs); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestInputsThatMakeTwoKeysOne(t *testing.T) {
	root, errs := resolveFiles(t, "-- main.yml --\nspec: {inputs: {a: {default: x}}}\n---\nx: {s: 1}\n$[[ inputs.a ]]: {s: 2}\n", Options{})
	if got := text(root); got != "{x: {s: 2}}" {
		t.Error(got)
	}
	want := []string{`main.yml:4:1 CIC1017 the key "x" is there twice once the inputs are filled in; the last value counts | main.yml:3:1 first here`}
	if diff := cmp.Diff(want, errs); diff != "" {
		t.Error(diff)
	}
}

func TestHeaderIncludes(t *testing.T) {
	archive := "-- main.yml --\nspec:\n  include: [" + strings.Repeat("local: a.yml, ", MaxIncludes+5) + "]\n---\nx: {y: z}\n-- a.yml --\ninputs: {}\n"
	_, errs := resolveFiles(t, archive, Options{})
	if len(errs) != 1 || !strings.Contains(errs[0], "CIC2016 the pipeline includes more than 150 files") {
		t.Error(errs)
	}
	_, errs = resolveFiles(t, "-- main.yml --\nspec: {include: [a.yml]}\n---\nx: {y: z}\n-- a.yml --\nspec: {}\n---\ninputs: {}\n", Options{})
	if len(errs) != 1 || !strings.Contains(errs[0], "a.yml:1:1 CIC2019 a file of spec:include has no header of its own | main.yml:1:18 included here") {
		t.Error(errs)
	}
}

// A file of another project reads the declarations of that project, not of this one.
func TestHeaderIncludesOfAnotherProject(t *testing.T) {
	copies := map[string]string{
		"project g/p a.yml":      "spec: {include: [inputs.yml]}\n---\na: {x: \"$[[ inputs.n ]]\"}\n",
		"project g/p inputs.yml": "inputs: {n: {default: theirs}}\n",
	}
	o := Options{Vendored: func(loc Location) (string, []byte, error) {
		data, ok := copies[loc.String()]
		if !ok {
			return "", nil, fs.ErrNotExist
		}
		return "vendor/" + loc.String(), []byte(data), nil
	}}
	root, errs := resolveFiles(t, "-- main.yml --\ninclude: {project: g/p, file: a.yml}\n-- inputs.yml --\ninputs: {n: {default: ours}}\n", o)
	if got := text(root); got != "{a: {x: theirs}}" || len(errs) > 0 {
		t.Error(got, errs)
	}
}

// A long value in many places, or doubled from file to file, is refused before it
// is made.
func TestInputsAreBounded(t *testing.T) {
	long := strings.Repeat("x", 1<<16)
	const block = "$[[ inputs.a ]]"
	many := `"` + strings.Repeat(block, 1<<15) + `"`
	archive := "-- main.yml --\nspec: {inputs: {a: {default: " + long + "}}}\n---\n"
	for _, test := range []struct{ name, files, file string }{
		{"in one text", archive + "x: {s: [" + many + "]}\n", "main.yml"},
		{"each a text of its own", archive + "x: {s: [" + strings.Repeat(`"`+block+`",`, 1<<15) + "]}\n", "main.yml"},
		{"shortened", archive + "x: {s: [" + strings.Repeat(`"$[[ inputs.a | truncate(0, 1) ]]",`, 1<<14) + "]}\n", "main.yml"},
		{"lists", strings.Replace(archive, "{default: ", "{type: array, default: [", 1) + "x: {s: [" + many + "]}\n", "main.yml"},
		{"from file to file", "-- main.yml --\ninclude: {local: 1.yml, inputs: {a: " + long[:1000] + "}}\n" +
			"-- 1.yml --\nspec: {inputs: {a: }}\n---\ninclude: {local: 2.yml, inputs: {a: " + many[:1+len(block)*1000] + "\"}}\n" +
			"-- 2.yml --\nspec: {inputs: {a: }}\n---\nx: {s: " + many + "}\n", "2.yml"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.name == "lists" {
				test.files = strings.Replace(test.files, long+"}}}", long+"]}}}", 1)
			}
			_, errs := resolveFiles(t, test.files, Options{})
			if len(errs) != 1 || !strings.HasPrefix(errs[0], test.file) ||
				!strings.Contains(errs[0], "CIC2022 the inputs of the pipeline are longer than 8 MiB once they are filled in") {
				t.Errorf("%.500q", errs)
			}
		})
	}
}

// TestHeaderIncludesFromElsewhere: declarations come from this project, from another, and from an
// address; what else an entry names is refused (specification, section 8.1).
func TestHeaderIncludesFromElsewhere(t *testing.T) {
	copies := map[string]string{
		"remote https://x.example/a.yml": "inputs: {a: {default: one}}\n",
		"project g/p b.yml at v1":        "inputs: {b: {default: two}}\n",
		"project g/p c.yml at v1":        "inputs: {c: {default: three}}\n",
	}
	o := Options{Vendored: func(loc Location) (string, []byte, error) {
		text, ok := copies[loc.String()]
		if !ok {
			return "", nil, fs.ErrNotExist
		}
		return "vendor/" + loc.Name, []byte(text), nil
	}}
	root, errs := resolveFiles(t, `-- main.yml --
spec:
  include: [local.yml, "https://x.example/a.yml", {project: g/p, ref: v1, file: [b.yml, /c.yml]}]
---
j: {x: "$[[ inputs.l ]] $[[ inputs.a ]] $[[ inputs.b ]] $[[ inputs.c ]]"}
-- local.yml --
inputs: {l: {default: zero}}
`, o)
	if len(errs) > 0 || text(root) != "{j: {x: zero one two three}}" {
		t.Errorf("%s, %v", text(root), errs)
	}
	for entry, want := range map[string]string{
		"{template: X.gitlab-ci.yml}":             `main.yml:1:19 CIC2019 spec:include takes local, remote and project files, and no "template"`,
		"{local: a.yml, inputs: {}}":              `main.yml:1:33 CIC2019 spec:include takes local, remote and project files, and no "inputs"`,
		"{project: g/p}":                          `main.yml:1:28 CIC2002 include:project needs "file", a path or a list of paths`,
		"{remote: x.example/a.yml}":               `main.yml:1:27 CIC2002 spec:include:remote takes an address that begins with https://, not "x.example/a.yml"`,
		"{local: a.txt}":                          `main.yml:1:26 CIC2013 the included file "a.txt" does not end in .yml or .yaml, or is no path`,
		"{ref: v1}":                               `main.yml:1:18 CIC2002 an entry of include has exactly one of local, remote, template, project and component`,
		"[a.yml]":                                 `main.yml:1:18 CIC2019 spec:include takes the paths of files, not a list`,
		"https://x.example/none.yml":              `main.yml:1:18 CIC2018 remote https://x.example/none.yml is not in the project, and there is no copy of it`,
		"{project: g/p, file: b.yml, ref: other}": `main.yml:1:28 CIC2018 project g/p b.yml at other is not in the project, and there is no copy of it`,
	} {
		_, errs := resolveFiles(t, "-- main.yml --\nspec: {include: ["+entry+"]}\n---\nj: {x: y}\n", o)
		if len(errs) != 1 || !strings.HasPrefix(errs[0], want) {
			t.Errorf("%s: %q\nwant %q", entry, errs, want)
		}
	}
}
