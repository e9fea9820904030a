//go:build linux

package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/contrib/seccomp"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/oci"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

const (
	graphRepetitions = 5
	chainRepetitions = 5
	chainLength      = 20

	fanOutRepetitions = 3
	fanOutJobs        = 200

	// outputLines of outputLine are 10 MiB.
	outputLines = 131072
)

// outputLine is 79 characters, as many as people put on a line, and a newline.
var outputLine = strings.Repeat("0123456789", 8)[:79]

// parallelism is cic's own default.
func parallelism() int { return 2 * runtime.NumCPU() }

// chains are what the jobs of three chains sleep, in seconds. Each chain takes 5,
// while a barrier after each level makes it 3 + 3 + 3.
var chains = [][]int{{3, 1, 1}, {1, 3, 1}, {1, 1, 3}}

const criticalPath = 5 * time.Second

// unequal is a pipeline of the chains, with a stage for each level.
func unequal() string {
	var b strings.Builder
	b.WriteString("stages: [first, second, third]\ndefault: {image: alpine}\n")
	for chain, jobs := range chains {
		for level, seconds := range jobs {
			fmt.Fprintf(&b, "job-%d-%d: {stage: %s, script: [sleep %d], needs: [", chain, level, []string{"first", "second", "third"}[level], seconds)
			if level > 0 {
				fmt.Fprintf(&b, "job-%d-%d", chain, level-1)
			}
			b.WriteString("]}\n")
		}
	}
	return b.String()
}

// measureGraph runs jobs of unequal durations: nothing but the longest chain,
// and the containers on it, may count.
func measureGraph(b *bench) ([]row, error) {
	l, err := b.lab()
	if err != nil {
		return nil, err
	}
	plan, err := l.compile(unequal())
	if err != nil {
		return nil, err
	}
	var walls, floors sample
	for range graphRepetitions {
		containers, err := l.bare(len(chains[0]), 1)
		if err != nil {
			return nil, err
		}
		took, _, err := l.exec(plan, max(parallelism(), len(chains)))
		if err != nil {
			return nil, err
		}
		walls, floors = append(walls, took), append(floors, criticalPath+containers)
	}
	ratio := over(walls.median(), floors.median())
	return []row{{figure: "graph with a critical path of 5 s", measured: show(walls.median()),
		against: "5 s and 3 bare containers: " + show(floors.median()), ratio: ratio, bar: "≤ 1.03", over: ratio > 1.03}}, nil
}

// noOpChain is a pipeline of n jobs that do nothing, one after the other.
func noOpChain(n int) string {
	var b strings.Builder
	b.WriteString("default: {image: alpine}\n")
	for i := range n {
		fmt.Fprintf(&b, "job-%d: {script: ['true'], needs: [", i)
		if i > 0 {
			fmt.Fprintf(&b, "job-%d", i-1)
		}
		b.WriteString("]}\n")
	}
	return b.String()
}

// measureChain finds what a job costs that does nothing.
func measureChain(b *bench) ([]row, error) {
	l, err := b.lab()
	if err != nil {
		return nil, err
	}
	plan, err := l.compile(noOpChain(chainLength))
	if err != nil {
		return nil, err
	}
	var jobs, bare sample
	for range chainRepetitions {
		floor, err := l.bare(chainLength, 1)
		if err != nil {
			return nil, err
		}
		took, _, err := l.exec(plan, parallelism())
		if err != nil {
			return nil, err
		}
		jobs, bare = append(jobs, took/chainLength), append(bare, floor/chainLength)
	}
	ratio := over(jobs.median(), bare.median())
	return []row{{figure: fmt.Sprintf("no-op job, in a chain of %d", chainLength), measured: show(jobs.median()),
		against: "bare container, one after the other: " + show(bare.median()), ratio: ratio, bar: "≤ 0.5", over: ratio > 0.5}}, nil
}

// fanOut is a pipeline of n jobs with the same script: one, then all others but
// one, then the last.
func fanOut(n int, script string) string {
	return fmt.Sprintf(`stages: [first, middle, last]
default: {image: alpine}
.job: {script: [%q]}
first: {stage: first, extends: .job}
middle: {stage: middle, extends: .job, parallel: %d}
last: {stage: last, extends: .job}
`, script, n-2)
}

// measureFanOut runs many jobs that do nothing.
func measureFanOut(b *bench) ([]row, error) {
	l, err := b.lab()
	if err != nil {
		return nil, err
	}
	plan, err := l.compile(fanOut(fanOutJobs, "true"))
	if err != nil {
		return nil, err
	}
	// What a container costs that gives no less isolation is told beside the floor.
	var wall, cpu struct{ jobs, bare, confined sample }
	for range fanOutRepetitions {
		for _, floor := range []struct {
			wall, cpu *sample
			more      []oci.SpecOpts
		}{{&wall.bare, &cpu.bare, nil}, {&wall.confined, &cpu.confined, []oci.SpecOpts{confined}}} {
			spent, err := l.bareCPU(func() error {
				took, err := l.bare(fanOutJobs, parallelism(), floor.more...)
				*floor.wall = append(*floor.wall, took)
				return err
			})
			if err != nil {
				return nil, err
			}
			*floor.cpu = append(*floor.cpu, spent/fanOutJobs)
		}
		r, spent, err := l.runCPU(plan, l.project, parallelism())
		if err != nil {
			return nil, err
		}
		wall.jobs, cpu.jobs = append(wall.jobs, r.took), append(cpu.jobs, spent/fanOutJobs)
	}
	line := func(figure, against string, measured, floor sample, bar float64) row {
		r := row{figure: figure, measured: show(measured.median()), against: against + show(floor.median()), ratio: over(measured.median(), floor.median())}
		if bar > 0 {
			r.bar, r.over = fmt.Sprintf("≤ %.2f", bar), r.ratio > bar
		}
		return r
	}
	jobs := fmt.Sprintf("%d no-op jobs, fanned out and in", fanOutJobs)
	return []row{
		line(jobs, fmt.Sprintf("as many bare containers, %d at a time: ", parallelism()), wall.jobs, wall.bare, 1.15),
		line(jobs, "the same with cic's filter of system calls: ", wall.jobs, wall.confined, 0),
		line("processor time of one of them", "a bare container: ", cpu.jobs, cpu.bare, 1.15),
		line("processor time of one of them", "the same with cic's filter of system calls: ", cpu.jobs, cpu.confined, 0),
	}, nil
}

// confined gives a bare container the filter of system calls that a job has.
func confined(_ context.Context, _ oci.Client, _ *containers.Container, s *oci.Spec) error {
	s.Linux.Seccomp = seccomp.DefaultProfile(s)
	s.Linux.Seccomp.Architectures = slices.DeleteFunc(s.Linux.Seccomp.Architectures, func(a specs.Arch) bool { return a == specs.ArchX32 })
	return nil
}

// measureMemory finds what the output of jobs costs the executor.
func measureMemory(b *bench) ([]row, error) {
	l, err := b.lab()
	if err != nil {
		return nil, err
	}
	// A reader that closes its pipe must not fail the job.
	script := fmt.Sprintf("{ yes %s || :; } | head -n %d", outputLine, outputLines)
	loud, err := l.compile(fanOut(fanOutJobs, script))
	if err != nil {
		return nil, err
	}
	silent, err := l.compile(fanOut(fanOutJobs, "true"))
	if err != nil {
		return nil, err
	}
	most := func(plan string) (int64, error) {
		u, err := b.run(nil, "exec", plan, "-C", l.project, "--state-dir", l.state)
		return u.rss, err
	}
	with, err := most(loud)
	if err != nil {
		return nil, err
	}
	without, err := most(silent)
	if err != nil {
		return nil, err
	}
	return []row{{figure: fmt.Sprintf("memory, %d jobs of 10 MiB output", fanOutJobs), measured: mib(with),
		against: "the same jobs without output: " + mib(without), ratio: float64(with) / float64(without)}}, nil
}
