package compile_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/cic-ci/cic/"

// layering says which packages of the module each package may import. Imports
// go one way, and a new package needs a line here.
var layering = map[string][]string{
	"plan":             {},
	"plan/credential":  {},
	"plan/draw":        {"plan"},
	"compile/syntax":   {"plan/credential"},
	"compile/match":    {},
	"compile/expr":     {"compile/match"},
	"compile/script":   {"compile/shellvar"},
	"compile/shellvar": {},
	"compile/glob":     {},
	"compile/resolve":  {"compile/expr", "compile/match", "compile/syntax"},
	"compile/pipeline": {"compile/match", "compile/shellvar", "compile/syntax"},
	"compile/explain":  {},
	"compile/lint":     {"compile/syntax"},
	"compile":          {"compile/expr", "compile/glob", "compile/match", "compile/pipeline", "compile/resolve", "compile/script", "compile/syntax", "plan/credential", "plan"},
	"exec/userns":      {},
	"exec/workspace":   {"exec/userns", "plan"},
	"exec/cachestore":  {"exec/workspace"}, // which removes what hostile jobs have made
	"exec/mask":        {"plan/credential"},
	"exec":             {"exec/cachestore", "exec/mask", "exec/workspace", "plan"},
	"exec/bundle":      {"plan"},
	"exec/network":     {"exec/userns"},
	// The sweep unmounts what a dead run left.
	"exec/containerd":        {"exec", "exec/bundle", "exec/containerd/server", "exec/network", "exec/userns", "exec/workspace", "plan"},
	"exec/containerd/server": {},
	"exec/doctor":            {"exec", "exec/containerd", "exec/network", "exec/userns", "exec/workspace"},
	"cmd/schema":             {"compile/lint", "compile/pipeline", "exec", "plan"},
	"exec/report":            {"exec", "plan"},
	"cmd/vendoring":          {"compile/resolve"},
	"cmd/imagelock":          {},
	"cmd":                    {"cmd/imagelock", "cmd/vendoring", "compile", "compile/explain", "compile/lint", "compile/resolve", "compile/syntax", "exec", "exec/bundle", "exec/cachestore", "exec/containerd", "exec/doctor", "exec/mask", "exec/report", "exec/userns", "exec/workspace", "plan", "plan/draw", "cmd/schema"},
	"cmd/cic":                {"cmd"},
	"golden":                 {},
	"golden/bench":           {"compile", "compile/syntax", "exec", "exec/cachestore", "exec/containerd", "exec/workspace", "plan"},
}

// owners says which packages alone may import an outside module; every prefix
// that stands here has one place where it is dealt with.
var owners = map[string][]string{
	"github.com/goccy/go-yaml":         {"compile/syntax"},
	"mvdan.cc/sh":                      {"compile/script"},
	"github.com/containerd/containerd": {"exec/containerd", "exec/containerd/server", "golden/bench"},
	"github.com/urfave/cli":            {"cmd"},
	"github.com/vishvananda/netlink":   {"exec/network"},
	"github.com/vishvananda/netns":     {"exec/network"},
	"github.com/google/nftables":       {"exec/network"},
}

// standardOnly are packages without any outside module.
var standardOnly = []string{"plan", "plan/draw", "plan/credential", "compile/explain", "compile/expr", "compile/glob", "compile/match", "compile/shellvar", "exec/mask"}

func TestImports(t *testing.T) {
	for _, goos := range []string{"linux", "darwin", "windows"} {
		for _, p := range listPackages(t, goos) {
			allowed, known := layering[p.name]
			if !known {
				t.Errorf("package %s has no line in layering", p.name)
			}
			for _, imported := range p.imports {
				if inside, ok := strings.CutPrefix(imported, module); ok {
					if !slices.Contains(allowed, inside) {
						t.Errorf("%s: %s must not import %s", goos, p.name, inside)
					}
					continue
				}
				if strings.Contains(imported, ".") && slices.Contains(standardOnly, p.name) {
					t.Errorf("%s: %s must not import %s: it is built on the standard library alone", goos, p.name, imported)
				}
				for prefix, who := range owners {
					if strings.HasPrefix(imported, prefix) && !slices.Contains(who, p.name) {
						t.Errorf("%s: %s must not import %s, which is for %s", goos, p.name, imported, who)
					}
				}
			}
		}
	}
}

type listed struct {
	name    string
	imports []string
}

func listPackages(t *testing.T, goos string) []listed {
	t.Helper()
	list := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	list.Dir = ".."
	list.Env = append(list.Environ(), "GOOS="+goos)
	var stderr bytes.Buffer
	list.Stderr = &stderr
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	var packages []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, listed{strings.TrimPrefix(p.ImportPath, module), p.Imports})
	}
}
