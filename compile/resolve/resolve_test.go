package resolve

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/cic-ci/cic/compile/syntax"
)

// text returns n in flow style, strings without quotes.
func text(n *syntax.Node) string {
	var items []string
	switch n.Kind {
	case syntax.Mapping:
		for _, p := range n.Pairs {
			items = append(items, p.Key.Value+": "+text(p.Value))
		}
		return "{" + strings.Join(items, ", ") + "}"
	case syntax.Sequence, syntax.Reference:
		for _, item := range n.Items {
			items = append(items, text(item))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case syntax.Null:
		return "null"
	}
	return n.Value
}

// resolveText resolves one file that includes nothing.
func resolveText(in string) (*syntax.Node, syntax.ErrorList) {
	r, errs := Resolve("f", []byte(in), Options{})
	return r.Root, errs
}

func TestExtends(t *testing.T) {
	for _, test := range []struct{ name, in, job, want string }{
		{"worked vector 34.1", `
.a: {image: {name: x, entrypoint: ["/e"]}, variables: {A: 1, B: 2}, script: [one], rules: [{if: $X}], cache: {key: k, paths: [p]}}
.b: {variables: {B: 3, C: 4}, tags: [t]}
j:  {extends: [.a, .b], image: {name: y}, script: [two], rules: null, cache: {paths: [q]}}
`, "j", "{image: {name: y, entrypoint: [/e]}, variables: {A: 1, B: 3, C: 4}, script: [two], rules: null, cache: {key: k, paths: [q]}, tags: [t]}"},
		{"string", ".a: {x: 1}\nj: {extends: .a, y: 2}", "j", "{x: 1, y: 2}"},
		{"defined below", "j: {extends: .a}\n.a: {x: 1}", "j", "{x: 1}"},
		{"over several levels", ".a: {v: {x: 1}}\n.b: {extends: .a, v: {y: 2}}\n.c: {extends: .b, v: {x: 3}}\nj: {extends: .c}", "j", "{v: {x: 3, y: 2}}"},
		{"hidden entries are resolved", ".a: {x: 1}\n.b: {extends: .a}\nj: {script: y}", ".b", "{x: 1}"},
		{"visible base", "a: {x: 1}\nj: {extends: a}", "j", "{x: 1}"},
		{"the same base twice, by two ways", ".a: {x: 1}\n.b: {extends: .a, x: 2}\nj: {extends: [.b, .a]}", "j", "{x: 1}"},
		{"mapping replaces scalar", ".a: {image: ruby}\nj: {extends: .a, image: {name: x}}", "j", "{image: {name: x}}"},
		{"scalar replaces mapping", ".a: {image: {name: x}}\nj: {extends: .a, image: ruby}", "j", "{image: ruby}"},
		{"null replaces mapping", ".a: {variables: {A: 1}}\nj: {extends: .a, variables: null}", "j", "{variables: null}"},
		{"mapping replaces null", ".a: {variables: null}\nj: {extends: .a, variables: {A: 1}}", "j", "{variables: {A: 1}}"},
		{"null extends", "j: {extends: null, x: 1}", "j", "{x: 1}"},
		{"empty list", "j: {extends: [], x: 1}", "j", "{x: 1}"},
		{"extends of a base is not inherited", ".a: {x: 1}\n.b: {extends: .a}\nj: {extends: .b}", "j", "{x: 1}"},
		{"deep extends is no keyword", "j: {variables: {extends: x}}", "j", "{variables: {extends: x}}"},
		{"ten ancestors", chain(10), "j", "{x: 1}"},
		{"not a job", "variables: {extends: x}\nj: {x: 1}", "variables", "{extends: x}"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, errs := resolveText(test.in)
			if len(errs) > 0 {
				t.Fatal(errs[0])
			}
			if diff := cmp.Diff(test.want, text(got.Get(test.job))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// chain returns a file in which j has n ancestors.
func chain(n int) string {
	in := ".b1: {x: 1}\n"
	for i := 2; i <= n; i++ {
		in += fmt.Sprintf(".b%d: {extends: .b%d}\n", i, i-1)
	}
	return in + fmt.Sprintf("j: {extends: .b%d}\n", n)
}

func TestDiagnostics(t *testing.T) {
	for _, test := range []struct {
		name, in string
		want     []string
	}{
		{"unknown base", "a: {x: 1}\n.base: {x: 1}\nj: {extends: .bsae}", []string{`3:14 CIC2005 "j" extends ".bsae", which does not exist (did you mean ".base"?)`}},
		{"keyword as base", "variables: {x: 1}\nj: {extends: variables}", []string{`2:14 CIC2005 "j" extends "variables", which does not exist`}},
		{"two unknown bases", "j: {extends: [q, w]}", []string{`1:15 CIC2005 "j" extends "q", which does not exist`, `1:18 CIC2005 "j" extends "w", which does not exist`}},
		{"no cascade", "j: {extends: q}\nk: {extends: j}\nl: {extends: k}", []string{`1:14 CIC2005 "j" extends "q", which does not exist`}},
		{"base is a list", ".a: [x]\nj: {extends: .a}", []string{`2:14 CIC2006 "j" extends ".a", which is a list, not a mapping | 1:1 defined here`}},
		{"base is null", ".a:\nj: {extends: .a}", []string{`2:14 CIC2006 "j" extends ".a", which is null, not a mapping | 1:1 defined here`}},
		{"mapping", "j: {extends: {a: b}}", []string{`1:14 CIC2004 extends takes the name of a job or a list of names, not a mapping`}},
		{"number", "1: {x: 1}\nj: {extends: 1}", []string{`2:14 CIC2004 extends takes the name of a job or a list of names, not an integer`}},
		{"nested list", "j: {extends: [[a]]}", []string{`1:15 CIC2004 extends takes the name of a job or a list of names, not a list`}},
		{"itself", "j: {extends: j}", []string{`1:14 CIC2007 extends goes in a circle: j -> j`}},
		{"cycle, found from outside", "a: {extends: d}\nb: {extends: c}\nc: {extends: [e, d]}\nd: {extends: b}\ne: {x: 1}", []string{
			`2:14 CIC2007 extends goes in a circle: b -> c -> d -> b | 3:18 "c" extends "d" here | 4:14 "d" extends "b" here`}},
		{"eleven ancestors", chain(11), []string{
			`12:5 CIC2008 "j" has more than 10 ancestors | 0:0 it extends .b11 -> .b10 -> .b9 -> .b8 -> .b7 -> .b6 -> .b5 -> .b4 -> .b3 -> .b2 -> .b1`}},
		{"twenty ancestors, reported once", chain(20), []string{
			`12:8 CIC2008 ".b12" has more than 10 ancestors | 0:0 it extends .b11 -> .b10 -> .b9 -> .b8 -> .b7 -> .b6 -> .b5 -> .b4 -> .b3 -> .b2 -> .b1`}},
		{"null include", "include:\nj: {x: 1}", nil},
		{"reference as extends", "j: {extends: !reference [a]}", []string{`1:14 CIC2004 extends takes the name of a job or a list of names, not a !reference`}},
		{"unknown reference", ".a: {script: [x]}\nj: {script: [!reference [.a, scirpt], !reference [.b]]}", []string{
			`2:30 CIC2003 !reference [.a, scirpt]: ".a" has no "scirpt" (did you mean "script"?)`,
			`2:51 CIC2003 !reference [.b]: ".b" does not exist (did you mean ".a"?)`}},
		{"reference to null", ".a: {x: }\nj: {script: !reference [.a, x]}", []string{`2:29 CIC2003 !reference [.a, x]: ".a" has no "x"`}},
		{"reference into a scalar", ".a: {x: y}\nj: {script: !reference [.a, x, z]}", []string{`2:32 CIC2003 !reference [.a, x, z]: "x" is a string, which has no "z"`}},
		{"reference into a reference", ".a: {x: !reference [.b]}\n.b: {y: z}\nj: {script: !reference [.a, x, y]}", []string{
			`3:32 CIC2003 !reference [.a, x, y]: "x" is a reference itself, and nothing inside of it can be named`}},
		{"empty reference", "j: {script: !reference []}", []string{`1:13 CIC1015 !reference needs a list of names, not an empty list`}},
		{"reference to no name", "j: {script: !reference [[a]]}", []string{`1:25 CIC2003 !reference takes names, not a list`}},
		{"reference to itself", "j: {script: !reference [j, script]}", []string{`1:13 CIC2010 !reference [j, script] is part of a circle`}},
		{"references in a circle", "a: {script: !reference [b, script]}\nb: {script: !reference [a, script]}", []string{
			`1:13 CIC2010 !reference [b, script] is part of a circle | 2:13 !reference [b, script] leads to !reference [a, script]`}},
		{"ten references", nested(9), nil},
		{"eleven references", nested(10), []string{`12:13 CIC2011 !reference [.r10] leads through more than 10 references`}},
		{"references that grow", bomb(), []string{`7:1 CIC2012 the pipeline has more than 1000000 values once references are resolved`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, errs := resolveText(test.in)
			var got []string
			for _, e := range errs {
				s := fmt.Sprintf("%d:%d %s %s", e.Pos.Line, e.Pos.Col, e.Code, e.Msg)
				if strings.HasPrefix(e.Help, "did you") {
					s += " (" + e.Help + ")"
				}
				for _, n := range e.Notes {
					s += fmt.Sprintf(" | %d:%d %s", n.Pos.Line, n.Pos.Col, n.Msg)
				}
				got = append(got, s)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A merged node stands where the extending job's own stands.
func TestPositions(t *testing.T) {
	root, errs := resolveText(".a:\n  image: x\n  variables: {A: 1}\nj:\n  extends: .a\n  variables: {B: 2}\n")
	if len(errs) > 0 {
		t.Fatal(errs[0])
	}
	j := root.Get("j")
	for what, lines := range map[string][2]int{
		"job":            {j.Pos.Line, 5},
		"inherited":      {j.Get("image").Pos.Line, 2},
		"merged":         {j.Get("variables").Pos.Line, 6},
		"inherited name": {j.Get("variables").GetKey("A").Pos.Line, 3},
		"own name":       {j.Get("variables").GetKey("B").Pos.Line, 6},
	} {
		if lines[0] != lines[1] {
			t.Errorf("%s: line %d, want %d", what, lines[0], lines[1])
		}
	}
}

func TestTooMuchToMerge(t *testing.T) {
	var in strings.Builder
	in.WriteString(".list: &l [")
	for i := range 300 {
		fmt.Fprintf(&in, ".b%d, ", i)
	}
	in.WriteString("]\n.keys: &k {")
	for i := range 500 {
		fmt.Fprintf(&in, "k%d: , ", i)
	}
	in.WriteString("}\n")
	for i := range 300 {
		fmt.Fprintf(&in, ".b%d: *k\n", i)
	}
	for i := range 1000 {
		fmt.Fprintf(&in, "j%d: {extends: *l}\n", i)
	}
	_, errs := resolveText(in.String())
	if len(errs) != 1 || errs[0].Code != CodeExtendsTooLarge {
		t.Errorf("%d errors, the first %v", len(errs), errs)
	}
}

// nested returns a file with a chain of n references.
func nested(n int) string {
	in := ".r0: [x]\n"
	for i := 1; i <= n; i++ {
		in += fmt.Sprintf(".r%d: [a, !reference [.r%d]]\n", i, i-1)
	}
	return in + fmt.Sprintf("j: {script: !reference [.r%d]}\n", n)
}

// bomb returns a short file whose references make a large tree.
func bomb() string {
	in := ".r0: [x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 9; i++ {
		in += fmt.Sprintf(".r%d: [%s]\n", i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("!reference [.r%d], ", i-1), 9), ", "))
	}
	return in
}

func FuzzResolve(f *testing.F) {
	f.Add([]byte("a: {extends: b}\nb: {extends: [c, d]}\nc: {extends: a}\nd: &d {e: *d}\n"))
	f.Add([]byte(chain(12)))
	f.Add([]byte("include: x\n.a: &a {x: {y: 1}}\nb: {extends: .a, <<: *a, x: !reference [c]}\n"))
	f.Add([]byte("spec: {inputs: {a: {default: x, options: [x, y]}}}\n---\n$[[ inputs.a | truncate(0,1) ]]: {script: !reference [x]}\nx: [$[[ inputs.a]]]\n"))
	f.Add([]byte("spec: {include: [b.yml], inputs: {a: {type: array, default: [x], rules: }}}\n---\ninclude: {local: b.yml, inputs: {a: $[[ inputs.a ]]}, rules: [{exists: [x], changes: {paths: [y], compare_to: $V}, if: $V == \"v\"}]}\n"))
	f.Add([]byte("inputs: {a: {regex: ^x, type: string}}\ninclude: ['*.yml', {project: g/p, file: [b.yml]}, {component: h/g/p/c@1}, https://h/b.yml, {template: T.gitlab-ci.yml}]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, errs := Resolve("f", data, Options{
			Project:  fstest.MapFS{"b.yml": {Data: data}, "c/b.yml": {Data: data[len(data)/2:]}},
			Lookup:   func(name string) (string, bool) { return "v", name == "V" },
			Exists:   func(c PathClause) (bool, error) { return len(c.Patterns) > 1, nil },
			Changed:  func(c PathClause) (bool, error) { return c.CompareTo == "v", nil },
			Vendored: func(loc Location) (string, []byte, error) { return "vendor/" + loc.String(), data, nil },
			Inputs:   map[string]string{"a": "[x, 1]"},
		})
		if r.Root == nil || errs.HasErrors() {
			return
		}
		if kindIn(r.Root, syntax.Reference) {
			t.Fatal("a reference is left")
		}
	})
}

func kindIn(n *syntax.Node, kind syntax.Kind) bool {
	found := n.Kind == kind
	for _, p := range n.Pairs {
		found = found || p.Key.Value != "include" && kindIn(p.Value, kind)
	}
	for _, item := range n.Items {
		found = found || kindIn(item, kind)
	}
	return found
}

func BenchmarkResolve(b *testing.B) {
	var in strings.Builder
	in.WriteString(".base: {image: x, variables: {A: 1, B: 2}, rules: [{if: $X}], tags: [t]}\n")
	for i := range 5000 {
		fmt.Fprintf(&in, "job-%d: {extends: .base, variables: {C: 3}, script: [make, !reference [.base, tags]]}\n", i)
	}
	for b.Loop() {
		if _, errs := resolveText(in.String()); len(errs) > 0 {
			b.Fatal(errs[0])
		}
	}
}
