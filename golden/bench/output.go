//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	outputSecrets = 20
	outputRate    = 300 << 20 // bytes a second that one job should be able to print
	outputMemory  = 60 << 20
	// besideSeconds is how long a job prints beside another that must not suffer.
	besideSeconds = 30
	besideSlower  = 1.10
)

// printing is a job that prints a number of MiB; to is where.
func printing(mib int, to string) string {
	// A reader that closes its pipe must not fail the job.
	return fmt.Sprintf("flood: {image: alpine, script: ['{ yes %s || :; } | head -c %d%s']}\n", outputLine, mib<<20, to)
}

// beside is a job that counts, and one that prints meanwhile.
func beside(to string) string {
	return fmt.Sprintf(`flood: {image: alpine, script: ['timeout %d yes %s%s || :']}
count: {image: alpine, script: ['sleep 1; i=0; while [ $i -lt 3000000 ]; do i=$((i+1)); done']}
`, besideSeconds, outputLine, to)
}

// measureOutput lets one job print without end while secrets are masked.
func measureOutput(b *bench) ([]row, error) {
	l, err := b.lab()
	if err != nil {
		return nil, err
	}
	secrets := filepath.Join(b.dir, "secrets")
	if err := os.WriteFile(secrets, secretLines(), 0o600); err != nil {
		return nil, err
	}
	run := func(pipeline string) (took time.Duration, id string, u usage, err error) {
		plan, err := l.compile(pipeline)
		if err != nil {
			return 0, "", u, err
		}
		var head runFinder
		u, err = b.run(&head, "exec", plan, "-C", l.project, "--state-dir", l.state, "--jobs", "2", "--secret-file", secrets)
		if err != nil {
			return 0, "", u, err
		}
		if head.run == "" {
			return 0, "", u, errors.New("cic exec does not name its run")
		}
		took, err = l.duration(head.run)
		return took, head.run, u, err
	}
	took, _, used, err := run(printing(b.outputMiB, ""))
	if err != nil {
		return nil, err
	}
	silent, _, _, err := run(printing(b.outputMiB, " > /dev/null"))
	if err != nil {
		return nil, err
	}
	rate := float64(b.outputMiB<<20) / took.Seconds()
	rows := []row{
		{figure: fmt.Sprintf("%d MiB of output, %d secrets", b.outputMiB, outputSecrets), measured: mib(int64(rate)) + "/s",
			against: "the same to /dev/null: " + show(silent), ratio: over(took, silent), bar: "300 MiB/s", over: rate < outputRate},
		{figure: "memory meanwhile", measured: mib(used.rss), bar: "60 MiB", over: used.rss > outputMemory},
	}
	var count [2]time.Duration
	for i, to := range []string{"", " > /dev/null"} {
		_, id, _, err := run(beside(to))
		if err != nil {
			return rows, err
		}
		if count[i], err = l.jobDuration(id, "count"); err != nil {
			return rows, err
		}
	}
	slower := over(count[0], count[1])
	return append(rows, row{figure: "a job beside one that prints", measured: show(count[0]),
		against: "beside one that prints to /dev/null: " + show(count[1]), ratio: slower, bar: "1.10", over: slower > besideSlower}), nil
}

// secretLines are secrets as services issue them, for --secret-file.
func secretLines() []byte {
	var b strings.Builder
	for i := range outputSecrets {
		fmt.Fprintf(&b, "SECRET_%d=%s\n", i, strings.Repeat(fmt.Sprintf("%c%d+Zq/", 'A'+i, i*7919), 4))
	}
	return []byte(b.String())
}

// runFinder keeps the id of the run from what cic exec prints.
type runFinder struct {
	head []byte
	run  string
}

func (f *runFinder) Write(p []byte) (int, error) {
	if f.run == "" && len(f.head) < 4096 {
		f.head = append(f.head, p...)
		if match := runLine.FindSubmatch(f.head); match != nil {
			f.run = string(match[1])
		}
	}
	return len(p), nil
}

// jobDuration reads from its journal how long a job of a run took.
func (l *lab) jobDuration(run, job string) (time.Duration, error) {
	journal, err := os.Open(filepath.Join(l.state, "runs", run, "journal.jsonl"))
	if err != nil {
		return 0, err
	}
	defer journal.Close()
	for in := json.NewDecoder(bufio.NewReader(journal)); ; {
		var event struct {
			Type, Job string
			Seconds   float64
		}
		switch err := in.Decode(&event); {
		case errors.Is(err, io.EOF):
			return 0, fmt.Errorf("the journal of run %s has no end of job %s", run, job)
		case err != nil:
			return 0, err
		}
		if event.Type == "job_finished" && event.Job == job {
			return time.Duration(event.Seconds * float64(time.Second)), nil
		}
	}
}
