package credential

import (
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	gitlab, aws := "glpat-"+strings.Repeat("x", 20), "AKIA"+strings.Repeat("7", 16)
	for text, want := range map[string]string{
		"":                                      "",
		"a word of " + strings.Repeat("x", 100): "",
		gitlab:                                  gitlab,
		"TOKEN=" + gitlab + ";":                 gitlab,
		"https://u:" + gitlab + "-y@host":       gitlab + "-y",
		gitlab[:25]:                             "",
		aws + "lower " + gitlab:                 aws,
		"x glpat-x " + aws:                      aws,
		"glpat-short/" + gitlab:                 gitlab,
		"glpat-AKIA7" + gitlab:                  "glpat-AKIA7" + gitlab,
	} {
		name, start, end := Find(text)
		if (name == "") != (want == "") || text[start:end] != want {
			t.Errorf("%q: %s %q, want %q", text, name, text[start:end], want)
		}
	}
}

func TestShapes(t *testing.T) {
	for _, s := range Shapes {
		token := s.Prefix + strings.Repeat("7", s.Min)
		if name, start, end := Find("(" + token + ")"); name != s.Name || start != 1 || end != 1+len(token) {
			t.Errorf("%s is not found: %q %d %d", s.Prefix, name, start, end)
		}
		for i := range len(s.Prefix) {
			if !dotted[s.Prefix[i]] {
				t.Errorf("Find passes over %q", s.Prefix)
			}
		}
		for c, follows := range s.Follows {
			if follows && !dotted[c] {
				t.Errorf("Find passes over what follows %q: %q", s.Prefix, rune(c))
			}
		}
		if len(s.Prefix) < 4 {
			t.Errorf("%q is too short to be sought", s.Prefix)
		}
	}
}

func TestPrivateKey(t *testing.T) {
	for text, want := range map[string]string{
		"-----BEGIN PRIVATE KEY-----":                              "-----BEGIN PRIVATE KEY-----",
		"x=-----BEGIN RSA PRIVATE KEY-----\nMII":                   "-----BEGIN RSA PRIVATE KEY-----",
		"-----BEGIN OPENSSH PRIVATE KEY-----":                      "-----BEGIN OPENSSH PRIVATE KEY-----",
		"-----BEGIN PGP PRIVATE KEY BLOCK-----":                    "-----BEGIN PGP PRIVATE KEY BLOCK-----",
		"-----BEGIN CERTIFICATE-----":                              "",
		"-----BEGIN PUBLIC KEY-----":                               "",
		"-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----": "-----BEGIN PRIVATE KEY-----",
		"grep -----BEGIN file":                                     "",
	} {
		start, end := PrivateKey(text)
		got := ""
		if start >= 0 {
			got = text[start:end]
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
