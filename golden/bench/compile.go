//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const compileRepetitions = 5

// maxWritten is how many jobs of [pipeline] fit into one file, which may have 2 MiB.
const maxWritten = 5000

// pipeline returns a pipeline of written*copies jobs with what real ones are made
// of: stages, extends, rules, variables, scripts of several lines, artifacts, and
// needs in half of the jobs. Copies are made with parallel. With mixed, needs lead
// to jobs without needs, too, which have the artifacts of all earlier stages.
// written is a multiple of ten.
func pipeline(written, copies int, mixed bool) []byte {
	var b bytes.Buffer
	b.WriteString(`stages: [prepare, build, test, package, deploy]
variables:
  VERSION: "1.4.0"
  REGISTRY: registry.example.com/team
.base:
  image: $REGISTRY/builder:$VERSION
  before_script:
    - mkdir -p out
  variables:
    LEVEL: info
.on-main:
  rules:
    - if: $CI_COMMIT_TAG
      when: never
    - if: $CI_COMMIT_BRANCH =~ /^(main|release\/.*)$/ && $CI_PIPELINE_SOURCE == "push"
`)
	stages := []string{"prepare", "build", "test", "package", "deploy"}
	size := written / len(stages)
	for i := range written {
		stage := i / size
		fmt.Fprintf(&b, `job-%d:
  stage: %s
  extends: [.base, .on-main]
  variables:
    COMPONENT: component-%d
    TARGET: $REGISTRY/$COMPONENT:$CI_COMMIT_REF_SLUG
  script:
    - echo "building $COMPONENT"
    - make -C "$COMPONENT" all >"out/$COMPONENT.txt"
    - test -s "out/$COMPONENT.txt"
  artifacts:
    paths: [out/]
`, i, stages[stage], i)
		if stage > 0 && i%2 == 1 {
			other := 2 // places further: a job with needs, as only odd ones have them
			if mixed {
				other = 1
			}
			other = (stage-1)*size + (i+other)%size
			fmt.Fprintf(&b, "  needs: [%q, %q]\n", copyName(i-size, copies), copyName(other, copies))
		}
		if copies > 1 {
			fmt.Fprintf(&b, "  parallel: %d\n", copies)
		}
	}
	return b.Bytes()
}

// included returns the files of a project of 150 included files that make 5,000 jobs
// together, with what costs a compiler most: each file takes inputs and is included
// by rules, and its jobs are of matrices, with rules of several clauses and needs of
// one combination.
func included() map[string][]byte {
	var top bytes.Buffer
	top.WriteString("stages: [build, test, ship]\nvariables: {REGISTRY: registry.example.com/team}\ninclude:\n  - local: base.yml\n")
	files := map[string][]byte{"base.yml": []byte(`.base:
  image: $REGISTRY/builder:1.4
  before_script: [mkdir -p out]
.rules:
  rules:
    - if: $CI_COMMIT_TAG =~ /^v[0-9.]+$/
      when: never
    - if: $CI_COMMIT_BRANCH =~ /^(main|release\/.*)$/ && $CI_PIPELINE_SOURCE == "push"
      variables: {LEVEL: full}
    - exists: ["**/*.go", "services/{api,web}/**/*"]
`)}
	const services, system = 149, "[linux, darwin, windows, freebsd]"
	for i := range services {
		fmt.Fprintf(&top, "  - local: services/s%d.yml\n    inputs: {name: s%[1]d}\n    rules:\n      - if: $CI_COMMIT_BRANCH != \"none-%[1]d\"\n", i)
		files[fmt.Sprintf("services/s%d.yml", i)] = []byte(`spec: {inputs: {name: {regex: "^s[0-9]+$"}}}
---
"$[[ inputs.name ]]:build":
  stage: build
  extends: [.base, .rules]
  parallel: {matrix: [{OS: ` + system + `, ARCH: [amd64, arm64, riscv64, s390x]}]}
  script:
    - make -C "services/$[[ inputs.name ]]" GOOS="$OS" GOARCH="$ARCH" all
    - test -s "out/$OS-$ARCH"
  artifacts: {paths: ["out/$OS-$ARCH"]}
"$[[ inputs.name ]]:test":
  stage: test
  extends: [.base, .rules]
  parallel: {matrix: [{OS: ` + system + `, ARCH: [amd64, arm64, riscv64, s390x]}]}
  needs:
    - job: "$[[ inputs.name ]]:build"
      parallel: {matrix: [{OS: ["$[[ matrix.OS ]]"], ARCH: ["$[[ matrix.ARCH ]]"]}]}
  script: [!reference [.base, before_script], './test "out/$OS-$ARCH"']
"$[[ inputs.name ]]:ship":
  stage: ship
  extends: [.base, .rules]
  script: ['./ship "$[[ inputs.name ]]"']
`)
	}
	// To the 149 times 33 jobs of the services, what makes 5,000.
	top.WriteString("sign: {extends: [.base, .rules], stage: ship, parallel: 83, script: [./sign]}\n")
	files["ci.yml"] = top.Bytes()
	return files
}

// copyName is what the first of the copies of a job is called.
func copyName(job, copies int) string {
	if copies == 1 {
		return fmt.Sprintf("job-%d", job)
	}
	return fmt.Sprintf("job-%d 1/%d", job, copies)
}

// writeFiles writes files by their paths, with slashes, below a directory.
func writeFiles(dir string, files map[string][]byte) error {
	for name, text := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// compileCase is a pipeline that is compiled again and again.
type compileCase struct {
	written, copies int
	mixed           bool
	project         string
	file, out       string
	wall, cpu       sample
	rss, size       int64 // of the process and of plan.json
}

func (c *compileCase) jobs() int { return c.written * c.copies }

func (c *compileCase) perJob() time.Duration { return c.cpu.median() / time.Duration(c.jobs()) }

// measureCompile runs the real program: from reading the file to the last script
// written. Growth is in processor time, which the rest of the machine changes
// least, and between two pipelines of the same make, as copies cost less to parse
// than jobs that are written out.
func measureCompile(b *bench) (_ []row, err error) {
	hundred, thousand, full := &compileCase{written: 100, copies: 1}, &compileCase{written: 1000, copies: 1}, &compileCase{written: maxWritten, copies: 1}
	small, large := &compileCase{written: 250, copies: 4}, &compileCase{written: maxWritten, copies: 4}
	mixed := &compileCase{written: 1000, copies: 1, mixed: true}
	cases := []*compileCase{hundred, thousand, full, small, large, mixed}
	includes := &compileCase{written: maxWritten, copies: 1}
	dir, unmount, err := b.memory("compile")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unmount()) }()
	project, err := b.mkdir("compile", "project")
	if err != nil {
		return nil, err
	}
	for i, c := range cases {
		c.file = filepath.Join(dir, fmt.Sprintf("%d.yml", i))
		c.out, c.project = filepath.Join(dir, fmt.Sprintf("plan-%d", i)), project
		if err := os.WriteFile(c.file, pipeline(c.written, c.copies, c.mixed), 0o644); err != nil {
			return nil, err
		}
	}
	includes.project, includes.file, includes.out = filepath.Join(dir, "includes"), filepath.Join(dir, "includes", "ci.yml"), filepath.Join(dir, "plan-includes")
	if err := writeFiles(includes.project, included()); err != nil {
		return nil, err
	}
	cases = append(cases, includes)
	var copied sample
	for range compileRepetitions {
		for _, c := range cases {
			if err := c.compile(b); err != nil {
				return nil, err
			}
		}
		u, err := b.copyTree(full.out)
		if err != nil {
			return nil, err
		}
		copied = append(copied, u.wall)
	}
	var rows []row
	for _, c := range []*compileCase{hundred, thousand, full, large} {
		r := c.time(copied)
		if c == full {
			r.bar, r.over = "< 1 s", c.wall.quietest() >= time.Second
		}
		rows = append(rows, r)
	}
	r := includes.time(copied)
	r.figure, r.bar, r.over = "compile 5000 jobs of 150 included files, matrix, rules", "< 1 s", includes.wall.quietest() >= time.Second
	rows = append(rows, r)
	growth := over(large.perJob(), small.perJob())
	sizes := float64(mixed.size) / float64(thousand.size)
	return append(rows,
		row{figure: "compile, growth to 20000 jobs", measured: show(large.perJob()) + " CPU a job",
			against: fmt.Sprintf("of %d: %s", small.jobs(), show(small.perJob())), ratio: growth, bar: "≤ 1.5", over: growth > 1.5},
		row{figure: "compile 5000 jobs, memory", measured: mib(full.rss), against: "100 jobs: " + mib(hundred.rss),
			ratio: float64(full.rss) / float64(hundred.rss), bar: "< 300 MiB", over: full.rss >= 300<<20},
		row{figure: "compile 5000 jobs of 150 included files, memory", measured: mib(includes.rss), against: "one file: " + mib(full.rss),
			ratio: float64(includes.rss) / float64(full.rss), bar: "< 300 MiB", over: includes.rss >= 300<<20},
		row{figure: "compile 20000 jobs, memory", measured: mib(large.rss), against: "100 jobs: " + mib(hundred.rss),
			ratio: float64(large.rss) / float64(hundred.rss)},
		row{figure: "plan of 1000 jobs whose needs lead into stages", measured: kib(mixed.size),
			against: "needs among themselves: " + kib(thousand.size), ratio: sizes, bar: "≤ 1.5", over: sizes > 1.5}), nil
}

// time is the row of how long it took; the floor is to write the same files.
func (c *compileCase) time(floor sample) row {
	r := row{figure: fmt.Sprintf("compile %d jobs, time", c.jobs()), measured: show(c.wall.quietest()),
		against: "its CPU: " + show(c.cpu.quietest()), ratio: over(c.wall.quietest(), c.cpu.quietest())}
	if c.jobs() == maxWritten {
		r.against += "; cp -r of its output: " + show(floor.quietest())
		r.ratio = over(c.wall.quietest(), floor.quietest())
	}
	return r
}

// compile compiles once, into a directory that does not exist.
func (c *compileCase) compile(b *bench) error {
	if err := os.RemoveAll(c.out); err != nil {
		return err
	}
	u, err := b.run(nil, "compile", c.file, "-C", c.project, "-o", c.out, "--ref", "main")
	if err != nil {
		return err
	}
	c.wall, c.cpu, c.rss = append(c.wall, u.wall), append(c.cpu, u.cpu), max(c.rss, u.rss)
	info, err := os.Stat(filepath.Join(c.out, "plan.json"))
	if err != nil {
		return err
	}
	c.size = info.Size()
	return nil
}

// copyTree copies a directory once, as the floor of writing it.
func (b *bench) copyTree(dir string) (usage, error) {
	dst := dir + "-copy"
	u, err := b.command(nil, "cp", "-r", dir, dst)
	if err != nil {
		return u, err
	}
	return u, os.RemoveAll(dst)
}
