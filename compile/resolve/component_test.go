package resolve

import (
	"slices"
	"testing"
)

// TestComponent: a component knows what its address says, and nothing else.
func TestComponent(t *testing.T) {
	const header = "spec: {component: [name, reference, sha, version]}\n---\n"
	const fields = `a: {n: "$[[ component.name ]]", r: "$[[ component.reference ]]", v: "x$[[ component.version | truncate(0,3) ]]", s: "$[[ component.sha ]]"}` + "\n"
	const hash = "0123456789012345678901234567890123456789"
	unknown := func(field, value string) string {
		return "component." + field + ` is not known here: it is taken to be "` + value + `"`
	}
	for _, test := range []struct {
		reference, file, want string
		errs                  []string
	}{
		{"1.2.3", header + fields, `{a: {n: build, r: 1.2.3, v: x1.2, s: }}`, []string{unknown("sha", "")}},
		{hash, header + fields, `{a: {n: build, r: ` + hash + `, v: x012, s: ` + hash + `}}`, []string{unknown("version", hash)}},
		{"~latest", header + "a: {v: \"$[[ component.version ]]\"}\n", `{a: {v: ~latest}}`, []string{unknown("version", "~latest")}},
		{"1", "spec: {component: [name]}\n---\na: {v: \"$[[ component.version ]]\"}\n", "", []string{"component.version is not declared in this file"}},
		{"1", "spec: {component: [nme]}\n---\na: {}\n", "", []string{`spec:component lists name, reference, sha, version, not "nme"`}},
		{"1", "spec: {component: name}\n---\na: {}\n", "", []string{`spec:component is a list, not a string`}},
	} {
		o := Options{Vendored: func(Location) (string, []byte, error) { return "copy.yml", []byte(test.file), nil }}
		r, list := Resolve("main.yml", []byte("include: {component: x.example/g/p/build@"+test.reference+"}\n"), o)
		var errs []string
		for _, e := range list {
			errs = append(errs, e.Msg)
		}
		if !slices.Equal(errs, test.errs) {
			t.Errorf("%s: %q, want %q", test.reference, errs, test.errs)
		}
		if test.want != "" && text(r.Root) != test.want {
			t.Errorf("%s: %s, want %s", test.reference, text(r.Root), test.want)
		}
	}
	r, list := Resolve("main.yml", []byte(header+"a: {n: \"$[[ component.name ]]\"}\n"), Options{})
	if text(r.Root) != "{a: {n: }}" || len(list) != 1 || list.HasErrors() {
		t.Error("included by nobody:", text(r.Root), list)
	}
}
