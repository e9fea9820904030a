package exec

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPromises checks that every test that SECURITY.md names is there.
func TestPromises(t *testing.T) {
	text, err := os.ReadFile("SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	defined := make(map[string]bool)
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err = filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, match := range function.FindAllSubmatch(source, -1) {
			defined[string(match[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`((?:Test|Fuzz)\\w+)`").FindAllSubmatch(text, -1)
	if len(named) < 30 {
		t.Errorf("found only %d names of tests", len(named))
	}
	for _, match := range named {
		if !defined[string(match[1])] {
			t.Errorf("%s does not exist", match[1])
		}
	}
	for _, match := range regexp.MustCompile("`(golden/[^`]+)`").FindAllSubmatch(text, -1) {
		if _, err := os.Stat(filepath.Join("..", string(match[1]))); err != nil {
			t.Error(err)
		}
	}
	_, promises, _ := strings.Cut(string(text), "## Promises")
	promises, _, _ = strings.Cut(promises, "## Not promised")
	for paragraph := range strings.SplitSeq(strings.TrimSpace(promises), "\n\n") {
		if !strings.Contains(paragraph, "`Test") {
			t.Errorf("a promise without a test: %s", paragraph)
		}
	}
}
