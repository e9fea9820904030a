//go:build linux

package golden

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cic-ci/cic/compile"
)

// hostileMemory bounds what cic may take for a hostile file, in MiB.
const hostileMemory = 100

// hostileFiles are meant to take all time or memory. All are within the size of a
// file; some are valid YAML, none is a pipeline.
func hostileFiles() map[string]string {
	many := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	aliases, merges, references := "a0: &a0 [x, x]\n", "a0: &a0 {k: x}\n", "image: alpine\n.r0: {script: [x]}\n"
	for i := range 30 {
		aliases += fmt.Sprintf("a%d: &a%d [*a%d, *a%d]\n", i+1, i+1, i, i)
		merges += fmt.Sprintf("a%d: &a%d {<<: *a%d, l%d: *a%d, r%d: *a%d}\n", i+1, i+1, i, i, i, i, i)
		references += fmt.Sprintf(".r%d: {script: [!reference [.r%d, script], !reference [.r%d, script]]}\n", i+1, i, i)
	}
	job := "image: alpine\nj: {script: x, "
	return map[string]string{
		"aliases":         aliases,
		"merges":          merges,
		"merge-many":      "a: &a\n" + many(2000, "  k%d: 1\n") + many(2000, "m%d: {<<: *a}\n"),
		"references":      references + "j: {script: !reference [.r30, script]}\n",
		"reference-many":  "image: alpine\n.r: {script: [" + strings.Repeat("echo, ", 5000) + "]}\n" + many(5000, "j%d: {script: !reference [.r, script]}\n"),
		"extends-chain":   "image: alpine\n" + many(40000, ".e%[1]d: {extends: [.f%[1]d, .e0]}\n"),
		"extends-many":    "image: alpine\n.b: {script: x, variables: {" + many(2000, "V%d: x, ") + "}}\n" + many(20000, "j%d: {extends: .b}\n"),
		"brackets":        "a: " + strings.Repeat("[", 100_000),
		"levels":          many(1900, "%[1]*[2]s\n"),
		"keys":            many(150_000, "k%d: 1\n"),
		"keys-of-a-job":   "j:\n" + many(150_000, " k%d: 1\n"),
		"items-nested":    many(40, "j%d: ["+strings.Repeat("[],", 15_000)+"]\n"),
		"items":           "j:\n  script:\n" + strings.Repeat("  -\n", 450_000),
		"items-brackets":  "j: {script: [" + strings.Repeat("a,", 1_000_000) + "]}",
		"empty-lists":     "j: {script: [" + strings.Repeat("[],", 650_000) + "]}",
		"duplicate-keys":  strings.Repeat("a: b\n", 400_000),
		"keys-in-braces":  "j: {" + strings.Repeat("a,", 990_000) + "}\n",
		"anchors":         many(90_000, "a%[1]d: &a%[1]d x\n"),
		"anchors-in-row":  "a: " + strings.Repeat("&a ", 600_000) + "x\n",
		"tags-in-row":     "a: " + strings.Repeat("!a ", 600_000) + "x\n",
		"aliases-unknown": "a: [" + many(45_000, "&a%d x, ") + "]\n" + many(1000, "k%[1]d: *z%[1]d\n"),
		"comments":        job + "needs: [z]}\n#cic:ignore" + strings.Repeat(" CIC2303", 200_000) + "\n",
		"rules-copies":    job + "parallel: 200, rules: [" + many(20_000, "{if: $A == '%d'}, ") + "]}\n",
		"rules-doubtful":  job + "needs: [z], rules: [" + many(20_000, "{if: '$A%d =~ /x/'}, ") + "]}\n",
		"matrix-values":   "image: alpine\n" + many(30, "j%d: {script: x, parallel: {matrix: [{A: ["+many(199, "%d, ")+"], "+many(1000, "V%d: b, ")+"}]}}\n"),
		"values-together": "variables: {W: " + strings.Repeat("x", 100_000) + "}\n" + job + "variables: {" + many(20_000, "A%d: $W, ") + "}}\n",
		"text":            "j: " + strings.Repeat("x", 2_000_000),
		"text-lines":      "j: x\n" + strings.Repeat(" x\n\n", 400_000),
		"tabs-in-quotes":  "j: \"" + strings.Repeat("x\t", 900_000) + "\"",
		"angle-brackets":  "j: " + strings.Repeat("<", 2_000_000),
		"long-key":        "? " + strings.Repeat("k", 1_900_000) + "\n: x\n",
		"pattern":         job + "needs: [z], rules: [{if: '$CI_COMMIT_BRANCH =~ /" + strings.Repeat("((a{1,9}){1,9}){1,9}", 60) + "$/'}]}\n",
		"globs":           job + "needs: [z], rules: [{exists: [" + strings.Repeat(`"`+strings.Repeat("**/", 50)+strings.Repeat("{a,b}", 12)+`", `, 50) + "]}]}\n",
		"globs-long":      job + "rules: [" + strings.Repeat("{exists: ["+strings.Repeat(`"{`+strings.Repeat("a,", 900)+`}`+strings.Repeat("b", 60)+`", `, 50)+"]}, ", 15) + "], needs: [z]}\n",
		"globs-many":      "image: alpine\nj: {script: x, parallel: 200, rules: [{exists: [" + many(50, `"`+strings.Repeat("{a,b}", 9)+`$CI_JOB_NAME%d", `) + "]}, {if: $CI_COMMIT_BRANCH}], needs: [z]}\n",
		"patterns":        job + "variables: {A: " + strings.Repeat("a", 100_000) + "}, rules: [" + many(2000, "{if: '$A =~ /(a+)+b%d$/'}, ") + "]}\n",
		"patterns-large":  job + "rules: [" + many(200, "{if: '$CI_COMMIT_BRANCH =~ /"+strings.Repeat("a{1000}", 30)+"%d$/'}, ") + "], needs: [z]}\n",
		"coverage":        job + "coverage: '/" + strings.Repeat("(a{1000})?", 50_000) + "/'}\n",
		"script-lines":    job + "needs: [z]}\nk: {script: [" + many(120_000, "echo %d, ") + "]}\n",
		"script-text":     "image: alpine\nk:\n  needs: [z]\n  script:\n    - |\n" + many(120_000, "      echo %d\n"),
		"patterns-text":   "variables: {A: " + strings.Repeat("a", 100_000) + ", B: /" + strings.Repeat("b", 100_000) + "}\n" + job + "rules: [" + many(45_000, "{if: $A =~ $B%[1]d || $A =~ $B}, ") + "], needs: [z]}\n",
		"refs":            job + "only: [" + many(49_000, "/^a%d(b|c)$/, ") + "], needs: [z]}\n",
		"script-copies":   "image: alpine\nk: {parallel: 200, script: [" + many(49_000, "echo %d, ") + "]}\n",
		"script-parts":    "image: alpine\nk: {script: '" + strings.Repeat(":;", 900_000) + ":'}\n",
		"matrix":          job + "parallel: {matrix: [{" + many(30, "V%d: [1, 2, 3, 4, 5, 6, 7, 8, 9], ") + "}]}}\n",
		"parallel":        "image: alpine\n" + many(5000, "j%d: {script: x, parallel: 200}\n"),
		"inputs":          "spec: {inputs: {a: {default: " + strings.Repeat("x", 1000) + "}}}\n---\nj: {script: [\"" + strings.Repeat("$[[ inputs.a ]]", 60_000) + "\"]}\n",
		"includes":        "include:\n" + many(10_000, "  - a%d.yml\n"),
		"variables":       "variables:\n" + many(40_000, "  V%d: x\n") + many(15_000, "j%d: {image: x, script: x}\n"),
		"variables-chain": strings.ReplaceAll(many(60, "  V%[1]d: $W%[1]d$W%[1]d\n"), "$W", "$V1") + "j: {script: x, image: y, needs: [z]}\n",
		"rules":           job + "rules: [" + strings.Repeat("{if: $A}, ", 180_000) + "]}\n",
	}
}

// TestHostile: a hostile file ends in a diagnostic, in bounded memory. How long it
// took is logged.
func TestHostile(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range hostileFiles() {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "ci.yml"), []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
			var stderr bytes.Buffer
			cmd := exec.Command(self)
			cmd.Args = []string{"cic", "compile", "-o", "out", "--ref", "main", "ci.yml"}
			cmd.Dir, cmd.Stderr = dir, &stderr
			start := time.Now()
			mib, err, measureErr := runMeasured(cmd)
			if measureErr != nil {
				t.Fatal(measureErr)
			}
			t.Logf("%v of processor, %v in all, %d MiB", cmd.ProcessState.UserTime(), time.Since(start), mib)
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 3 || !strings.Contains(stderr.String(), "error") {
				t.Errorf("%v: %.500s", err, stderr.String())
			}
			if mib > hostileMemory*raceMemory {
				t.Errorf("%d MiB of memory, more than %d", mib, hostileMemory)
			}
		})
	}
}

// TestLargeFile: a file of jobs that is nearly as large as may be is no hostile one.
func TestLargeFile(t *testing.T) {
	var b strings.Builder
	b.WriteString("default: {image: alpine}\n")
	const jobs = 11_500
	for i := range jobs {
		fmt.Fprintf(&b, "job%d: {stage: test, script: [make a, make b, echo c], tags: [docker, linux], variables: {MODE: release}, artifacts: {paths: [build/output]}, rules: [{if: $CI_COMMIT_TAG}]}\n", i)
	}
	result, found, _ := compile.Compile(compile.Options{Source: "ci.yml", Data: []byte(b.String()), Ref: "main"})
	if result == nil || len(result.Plan.Excluded) != jobs {
		t.Fatalf("%d bytes: %v", b.Len(), found[0])
	}
}
