package plan

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

func TestFileName(t *testing.T) {
	for _, test := range []struct{ job, want string }{
		{"build", "build"},
		{"unit-tests_3.11", "unit-tests_3.11"},
		{strings.Repeat("a", 80), strings.Repeat("a", 80)},
		{"Build", "build-#"},
		{"test: [3.11, sqlite]", "test-3.11-sqlite-#"},
		{"test 1/3", "test-1-3-#"},
		{"../../etc/cron.d/x", "etc-cron.d-x-#"},
		{"", "job-#"},
		{".", "job-#"},
		{"..", "job-#"},
		{".hidden", "hidden-#"},
		{"-rf", "rf-#"},
		{"a.", "a-#"},
		{"con", "job-con-#"},
		{"con.tar", "job-con.tar-#"},
		{"COM1", "job-com1-#"},
		{"LPT9.x", "job-lpt9.x-#"},
		{"console", "console"},
		{"éèê", "job-#"},
		{"\x1b[2J", "2j-#"},
		{"a\x00b", "a-b-#"},
		{"x.after", "x.after-#"},
		{"x-0123456789ab", "x-0123456789ab-#"},
		{strings.Repeat("a", 81), strings.Repeat("a", 67) + "-#"},
		{strings.Repeat("-", 300) + "x", "x-#"},
	} {
		got := FileName(test.job)
		if stem, hashed := strings.CutSuffix(test.want, "#"); hashed {
			if !regexp.MustCompile(`^` + regexp.QuoteMeta(stem) + `[0-9a-f]{12}$`).MatchString(got) {
				t.Errorf("FileName(%q) = %q, want %s", test.job, got, test.want)
			}
		} else if got != test.want {
			t.Errorf("FileName(%q) = %q, want %q", test.job, got, test.want)
		}
	}
	if got := ScriptPath("A"); !strings.HasPrefix(got, "jobs/a-") || !strings.HasSuffix(got, ".sh") {
		t.Error(got)
	}
	if ScriptPath("a.after") == AfterScriptPath("a") {
		t.Error("a job's script has the path of another's after_script")
	}
}

// TestFileNameInjective: names that differ only in what a file system may not
// tell apart, or in what is replaced, have different files.
func TestFileNameInjective(t *testing.T) {
	names := []string{
		"a b", "a/b", "a_b", "a-b", "a:b", "A b", "a  b", " a b", "a b ", "Build", "build", "BUILD",
		"caf\u00e9", "cafe\u0301", "con", "CON", "job-con", "", ".", "..", "job", "x.after", "x",
	}
	alphabet := []rune("aAbB-_./ :é\u0301[]0f")
	r := rand.New(rand.NewPCG(7, 8))
	for range 20000 {
		name := make([]rune, r.IntN(7))
		for i := range name {
			name[i] = alphabet[r.IntN(len(alphabet))]
		}
		names = append(names, string(name))
	}
	// The names made are names too: none may be that of a job with another name.
	for _, name := range names[:2000] {
		names = append(names, FileName(name))
	}
	files := make(map[string]string)
	for _, name := range names {
		file := strings.ToLower(FileName(name))
		checkFileName(t, name, file)
		if other, ok := files[file]; ok && other != name {
			t.Fatalf("%q and %q are both %s", name, other, file)
		}
		files[file] = name
	}
}

var (
	plainFile = regexp.MustCompile(`^[a-z0-9_][a-z0-9._-]{0,79}$`)
	oddFile   = regexp.MustCompile(`^(con|prn|aux|nul|com\d|lpt\d)(\.|$)|\.$|\.after$`)
)

func checkFileName(t *testing.T, name, file string) {
	t.Helper()
	if !plainFile.MatchString(file) || oddFile.MatchString(file) {
		t.Fatalf("FileName(%q) = %q is not safe", name, file)
	}
	for _, path := range []string{ScriptPath(name), AfterScriptPath(name)} {
		if !scriptName(strings.TrimPrefix(path, "jobs/")) {
			t.Fatalf("%q is not a script's path", path)
		}
	}
}

func FuzzFileName(f *testing.F) {
	f.Add("a b", "a/b")
	f.Add("con", "CON")
	f.Add("x-0123456789ab", "X")
	f.Fuzz(func(t *testing.T, a, b string) {
		checkFileName(t, a, FileName(a))
		if a != b && FileName(a) == FileName(b) {
			t.Fatalf("%q and %q are both %s", a, b, FileName(a))
		}
	})
}

func TestSlug(t *testing.T) {
	for in, want := range map[string]string{
		"Feature/ABC_1.2--x":           "feature-abc-1-2--x",
		"-x-":                          "x",
		"":                             "",
		"---":                          "",
		"É":                            "",
		"aÉb":                          "a-b",
		"main":                         "main",
		strings.Repeat("a", 70):        strings.Repeat("a", 63),
		strings.Repeat("a", 62) + "/b": strings.Repeat("a", 62),
	} {
		if got := Slug(in); got != want {
			t.Errorf("Slug(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestEnvironmentSlug(t *testing.T) {
	for in, want := range map[string]string{
		"production":                `^production$`,
		"abcdefghijklmnopqrstuvwx":  `^abcdefghijklmnopqrstuvwx$`,
		"abcdefghijklmnopqrstuvwxy": `^abcdefghijklmnopq-[0-9a-z]{6}$`,
		"review/x":                  `^review-x-[0-9a-z]{6}$`,
		"Production":                `^production-[0-9a-z]{6}$`,
		"1x":                        `^env-1x-[0-9a-z]{6}$`,
		"a--b":                      `^a-b-[0-9a-z]{6}$`,
		"a-":                        `^a-[0-9a-z]{6}$`,
		"":                          `^env-[0-9a-z]{6}$`,
	} {
		if got := environmentSlug(in); !regexp.MustCompile(want).MatchString(got) || len(got) > 24 {
			t.Errorf("environmentSlug(%q) = %q, want %s", in, got, want)
		}
	}
}

func TestGroupName(t *testing.T) {
	for in, want := range map[string]string{
		"build":           "build",
		"test 1/3":        "test",
		"test: [3.11, x]": "test",
		"test: [a]: x":    "test: [a]: x",
		"deploy 1/3 now":  "deploy 1/3 now",
		"x [y]":           "x",
		"a1/3":            "a1/3",
	} {
		if got := groupName(in); got != want {
			t.Errorf("groupName(%q) = %q, want %q", in, got, want)
		}
	}
}

func ExampleFileName() {
	fmt.Println(FileName("unit-tests"))
	fmt.Println(FileName("test: [3.11, sqlite]"))
	// Output:
	// unit-tests
	// test-3.11-sqlite-c6c7bf037aa1
}
