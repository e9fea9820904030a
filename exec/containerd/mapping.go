package containerd

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/distribution/reference"
)

// TargetKind says what a [Mapping] leads to.
type TargetKind string

// The kinds of targets.
const (
	TargetReference     TargetKind = "reference"
	TargetOCI           TargetKind = "oci"
	TargetDockerArchive TargetKind = "docker-archive"
	TargetRootfs        TargetKind = "rootfs"
	TargetHost          TargetKind = "host"
)

// Mapping makes jobs that ask for one image run in another.
type Mapping struct {
	// Pattern is a normalised reference, or a pattern with asterisks that is tried
	// on the normalised and on the short form. An asterisk matches any text.
	Pattern string
	Kind    TargetKind
	// Target is a normalised reference, or an absolute path: of an OCI layout
	// (directory or archive), of a docker save archive, of a root file system. It is
	// empty for the host image.
	Target string
	// Digest selects one of several images of an OCI layout: sha256: and the digest
	// of its manifest. It is empty where there is but one.
	Digest string
}

// layoutDigest is what may follow the path of an OCI layout.
var layoutDigest = regexp.MustCompile(`@(sha256:[0-9a-f]{64})$`)

// ParseMapping reads PATTERN=TARGET. TARGET is host, oci:PATH or oci:PATH@DIGEST,
// docker-archive:FILE, rootfs:DIR, or else an image reference (an image that is
// named like one of these words can be written with its registry). Relative
// paths are resolved against the working directory.
func ParseMapping(s string) (Mapping, error) {
	pattern, target, found := strings.Cut(s, "=")
	if !found || pattern == "" || target == "" {
		return Mapping{}, fmt.Errorf("image mapping %q is not of the form PATTERN=TARGET", s)
	}
	m := Mapping{Pattern: pattern}
	var err error
	if !strings.Contains(pattern, "*") {
		if m.Pattern, err = normaliseName(pattern); err != nil {
			return Mapping{}, fmt.Errorf("image mapping %q: pattern: %w", s, err)
		}
	}
	if target == string(TargetHost) {
		m.Kind = TargetHost
		return m, nil
	}
	for _, kind := range []TargetKind{TargetOCI, TargetDockerArchive, TargetRootfs} {
		path, found := strings.CutPrefix(target, string(kind)+":")
		if !found {
			continue
		}
		if path == "" {
			return Mapping{}, fmt.Errorf("image mapping %q: %s: needs a path", s, kind)
		}
		m.Kind = kind
		if at := layoutDigest.FindStringSubmatch(path); at != nil && kind == TargetOCI {
			m.Digest, path = at[1], strings.TrimSuffix(path, at[0])
		}
		if m.Target, err = filepath.Abs(path); err != nil {
			return Mapping{}, fmt.Errorf("image mapping %q: %w", s, err)
		}
		return m, nil
	}
	m.Kind = TargetReference
	if m.Target, err = normalise(target); err != nil {
		return Mapping{}, fmt.Errorf("image mapping %q: target: %w", s, err)
	}
	return m, nil
}

// Matches reports whether the mapping is meant for an image, given by its
// normalised reference. It need not name the digest that the image was locked to.
func (m Mapping) Matches(name string) bool {
	tagged, _, locked := strings.Cut(name, "@")
	return m.matches(name) || locked && m.matches(tagged)
}

func (m Mapping) matches(name string) bool {
	if !strings.Contains(m.Pattern, "*") {
		return m.Pattern == name
	}
	return matchAsterisks(m.Pattern, name) || matchAsterisks(m.Pattern, familiar(name))
}

// String is the target as [ParseMapping] reads it, in its full form.
func (m Mapping) String() string {
	switch {
	case m.Kind == TargetReference:
		return m.Target
	case m.Kind == TargetHost:
		return string(m.Kind)
	case m.Digest != "":
		return string(m.Kind) + ":" + m.Target + "@" + m.Digest
	}
	return string(m.Kind) + ":" + m.Target
}

// imageDigest is the digest that a normalised reference names, empty if it does not.
func imageDigest(name string) string {
	_, digest, _ := strings.Cut(name, "@")
	return digest
}

// IsReference reports whether a name is an image reference at all.
func IsReference(name string) bool {
	_, err := normalise(name)
	return err == nil
}

// Unpinned says why it is not certain which image a job gets that asks for one, given
// by its normalised reference; empty if it is: the reference names a digest, and so does
// what it is mapped to, if anything, and it is the same.
func Unpinned(name string, mappings []Mapping) string {
	digest := imageDigest(name)
	if digest == "" {
		return "has no digest"
	}
	m := MappingFor(name, mappings)
	switch {
	case m.Kind == "",
		m.Kind == TargetReference && imageDigest(m.Target) == digest,
		m.Kind == TargetOCI && m.Digest == digest:
		return ""
	}
	return "is mapped to " + m.String() + ", which does not name its digest"
}

// MappingFor is the first that is meant for an image, by its normalised reference; the
// zero Mapping if there is none.
func MappingFor(name string, mappings []Mapping) Mapping {
	for _, m := range mappings {
		if m.Matches(name) {
			return m
		}
	}
	return Mapping{}
}

// matchAsterisks matches the whole of s; an asterisk stands for any text, slashes included.
func matchAsterisks(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	s, found := strings.CutPrefix(s, parts[0])
	if !found {
		return false
	}
	last := len(parts) - 1
	for _, part := range parts[1:last] {
		// The leftmost place leaves the most for the rest, so that no other need be tried.
		_, after, found := strings.Cut(s, part)
		if !found {
			return false
		}
		s = after
	}
	return strings.HasSuffix(s, parts[last])
}

// normaliseName is normalise, but leaves a name alone that mentions a variable which
// nobody has defined, as ${NAME}: it is good for a mapping.
func normaliseName(name string) (string, error) {
	if isOpen(name) {
		return name, nil
	}
	return normalise(name)
}

func isOpen(name string) bool { return strings.Contains(name, "${") }

// normalise gives the full form of an image reference: registry, repository,
// and tag or digest.
func normalise(ref string) (string, error) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return "", fmt.Errorf("image reference %q: %w", ref, err)
	}
	return reference.TagNameOnly(named).String(), nil
}

// familiar gives the short form of a normalised reference, for people.
func familiar(name string) string {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return name
	}
	return reference.FamiliarString(named)
}
