package containerd

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestParseMapping(t *testing.T) {
	abs := func(path string) string {
		p, err := filepath.Abs(path)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	digest := strings.Repeat("0a", 32)
	for _, test := range []struct {
		in   string
		want Mapping
		err  string
	}{
		{in: "alpine=host", want: Mapping{Pattern: "docker.io/library/alpine:latest", Kind: TargetHost}},
		{in: "*=host", want: Mapping{Pattern: "*", Kind: TargetHost}},
		{in: "python:3.11=python:3.12-slim", want: Mapping{Pattern: "docker.io/library/python:3.11", Kind: TargetReference, Target: "docker.io/library/python:3.12-slim"}},
		{in: "a=docker.io/library/host", want: Mapping{Pattern: "docker.io/library/a:latest", Kind: TargetReference, Target: "docker.io/library/host:latest"}},
		{in: "a/b=oci:some dir", want: Mapping{Pattern: "docker.io/a/b:latest", Kind: TargetOCI, Target: abs("some dir")}},
		{in: "a=oci:x.tar@sha256:" + digest, want: Mapping{Pattern: "docker.io/library/a:latest", Kind: TargetOCI, Target: abs("x.tar"), Digest: "sha256:" + digest}},
		{in: "a=oci:x.tar@sha256:0", want: Mapping{Pattern: "docker.io/library/a:latest", Kind: TargetOCI, Target: abs("x.tar@sha256:0")}},
		{in: "a=docker-archive:x=y.tar", want: Mapping{Pattern: "docker.io/library/a:latest", Kind: TargetDockerArchive, Target: abs("x=y.tar")}},
		{in: "reg.example:5000/a:*=rootfs:.", want: Mapping{Pattern: "reg.example:5000/a:*", Kind: TargetRootfs, Target: abs(".")}},
		{in: "alpine", err: "PATTERN=TARGET"},
		{in: "=host", err: "PATTERN=TARGET"},
		{in: "alpine=", err: "PATTERN=TARGET"},
		{in: "alpine=oci:", err: "needs a path"},
		{in: "Upper=host", err: "pattern"},
		{in: "alpine=Upper", err: "target"},
	} {
		got, err := ParseMapping(test.in)
		switch {
		case test.err == "" && (err != nil || got != test.want):
			t.Errorf("%q: got %+v, %v; want %+v", test.in, got, err, test.want)
		case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
			t.Errorf("%q: error is %v, want …%s…", test.in, err, test.err)
		}
	}
}

func TestMappingMatches(t *testing.T) {
	for _, test := range []struct {
		pattern, ref string
		want         bool
	}{
		{"alpine", "alpine", true},
		{"alpine", "alpine:latest", true},
		{"alpine", "alpine:3.20", false},
		{"alpine:*", "alpine:3.20", true},
		{"alpine:*", "example.com/alpine:3.20", false},
		{"*", "example.com/a/b@sha256:" + strings.Repeat("0", 64), true},
		{"docker.io/*", "python:3.11", true},
		{"*/python:*", "example.com/x/python:3", true},
		{"p*n:3.*1", "python:3.11", true},
		{"p*n:3.*1", "python:3.12", false},
		{"*a*a", "a", false},
		{"python:3.11*3.11", "python:3.11", false},
		{"${REGISTRY}/app", "${REGISTRY}/app", true},
		{"*/app", "${REGISTRY}/app", true},
		{"*", "${IMAGE}", true},
		{"alpine:3.20", "alpine:3.20@sha256:" + strings.Repeat("0", 64), true},
		{"*/app:1", "example.com/app:1@sha256:" + strings.Repeat("0", 64), true},
		{"alpine:3.20@sha256:" + strings.Repeat("0", 64), "alpine:3.20", false},
		{"alpine", "alpine:3.20@sha256:" + strings.Repeat("0", 64), false},
	} {
		m, err := ParseMapping(test.pattern + "=host")
		if err != nil {
			t.Fatal(err)
		}
		name, err := normaliseName(test.ref)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Matches(name); got != test.want {
			t.Errorf("%q matches %q: %v, want %v", test.pattern, test.ref, got, test.want)
		}
	}
}

// A pattern made by replacing a part of a text by an asterisk matches the text.
func FuzzMatchAsterisks(f *testing.F) {
	f.Add("docker.io/library/python:3.11", 3, 7)
	f.Fuzz(func(t *testing.T, s string, i, j int) {
		if strings.Contains(s, "*") || i < 0 || j < i || j > len(s) {
			t.Skip()
		}
		if pattern := s[:i] + "*" + s[j:]; !matchAsterisks(pattern, s) {
			t.Errorf("%q does not match %q", pattern, s)
		}
		if pattern := s[:i] + "*" + s[j:] + "x"; matchAsterisks(pattern, s) && !strings.HasSuffix(s, "x") {
			t.Errorf("%q matches %q", pattern, s)
		}
	})
}

func TestUnpinned(t *testing.T) {
	digest, other := "sha256:"+strings.Repeat("0a", 32), "sha256:"+strings.Repeat("0b", 32)
	const mapped = ", which does not name its digest"
	for _, test := range []struct{ image, mapping, want string }{
		{"alpine:3.20", "", "has no digest"},
		{"alpine:3.20@" + digest, "", ""},
		{"alpine@" + digest, "", ""},
		{"alpine:3.20@" + digest, "python:*=host", ""},
		{"alpine:3.20@" + digest, "alpine:*=host", "is mapped to host" + mapped},
		{"alpine:3.20@" + digest, "*=rootfs:/r", "is mapped to rootfs:/r" + mapped},
		{"alpine:3.20@" + digest, "*=docker-archive:/a", "is mapped to docker-archive:/a" + mapped},
		{"alpine:3.20@" + digest, "*=oci:/o", "is mapped to oci:/o" + mapped},
		{"alpine:3.20@" + digest, "*=oci:/o@" + other, "is mapped to oci:/o@" + other + mapped},
		{"alpine:3.20@" + digest, "*=oci:/o@" + digest, ""},
		{"alpine:3.20@" + digest, "*=example.com/a:1", "is mapped to example.com/a:1" + mapped},
		{"alpine:3.20@" + digest, "*=example.com/a@" + other, "is mapped to example.com/a@" + other + mapped},
		{"alpine:3.20@" + digest, "*=example.com/a@" + digest, ""},
		// What the plan leaves open, the command line may not decide.
		{"alpine:3.20", "*=example.com/a@" + digest, "has no digest"},
		{"${IMAGE}", "*=example.com/a@" + digest, "has no digest"},
	} {
		var mappings []Mapping
		if test.mapping != "" {
			m, err := ParseMapping(test.mapping)
			if err != nil {
				t.Fatal(err)
			}
			mappings = append(mappings, m)
		}
		name, err := normaliseName(test.image)
		if err != nil {
			t.Fatal(err)
		}
		if got := Unpinned(name, mappings); got != test.want {
			t.Errorf("%s with %q: %q, want %q", test.image, test.mapping, got, test.want)
		}
	}
}
