package plan

import (
	"strings"
	"testing"
)

// Source of the first three: specification section 22.
func TestImageHosts(t *testing.T) {
	for image, want := range map[string]string{
		"docker.io/library/postgres:15":                             "postgres",
		"registry.example.com:4999/a/b:1":                           "registry.example.com__a__b registry.example.com-a-b",
		"docker.io/tutum/wordpress:latest":                          "tutum__wordpress tutum-wordpress",
		"ghcr.io/o/tool@sha256:" + strings.Repeat("a", 64):          "ghcr.io__o__tool ghcr.io-o-tool",
		"localhost:5000/x:1.2@sha256:" + strings.Repeat("b", 64):    "localhost__x localhost-x",
		"docker.io/library/redis@sha256:" + strings.Repeat("c", 64): "redis",
		"redis": "redis",
		"":      "",
	} {
		if got := strings.Join(imageHosts(image), " "); got != want {
			t.Errorf("%s: got %s, want %s", image, got, want)
		}
	}
}

func TestServiceHosts(t *testing.T) {
	var hosts ServiceHosts
	for _, test := range []struct{ image, aliases, names, lost string }{
		{"docker.io/library/postgres:15", "db", "db postgres", ""},
		{"docker.io/library/postgres:13", "DB old", "old", "DB postgres"},
		{"docker.io/library/postgres:12", "", "", "postgres"},
		{"docker.io/library/redis:7", "redis Localhost", "redis", "Localhost"},
		{"", "late -bad", "late", "-bad "}, // an image known only later
	} {
		names, lost := hosts.Claim(test.image, strings.Fields(test.aliases))
		if got := strings.Join(names, " "); got != test.names {
			t.Errorf("%s: got %q, want %q", test.image, got, test.names)
		}
		if got := strings.Join(lost, " "); got != test.lost {
			t.Errorf("%s: lost %q, want %q", test.image, got, test.lost)
		}
	}
}
