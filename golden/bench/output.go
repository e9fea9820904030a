//go:build linux

package main

import (
	"fmt"
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

// printing is a job that prints a number of MiB; to is where. It prints a file
// again and again, as yes is slow in many images.
func printing(mib int, to string) string {
	// A reader that closes its pipe must not fail the job.
	return fmt.Sprintf(`flood:
  image: alpine
  script:
    - '{ yes %s || :; } | head -c 8388608 > /tmp/lines'
    - 'i=0; while [ $i -lt %d ]; do cat /tmp/lines; i=$((i+1)); done%s'
`, outputLine, max(mib/8, 1), to)
}

// beside is a job that counts, and one that prints meanwhile.
func beside(to string) string {
	return fmt.Sprintf(`flood: {image: alpine, script: ['timeout %d yes %s%s || :']}
count: {image: alpine, script: ['sleep 1; i=0; while [ $i -lt 3000000 ]; do i=$((i+1)); done']}
`, besideSeconds, outputLine, to)
}

// measureOutput lets one job print without end while secrets are masked: once with
// a log that holds all of it, and once as a run is by default, where what comes
// after the log's limit is not looked at but for its last lines.
func measureOutput(b *bench) ([]row, error) {
	l, err := b.lab()
	if err != nil {
		return nil, err
	}
	secrets := filepath.Join(b.dir, "secrets")
	if err := os.WriteFile(secrets, secretLines(), 0o600); err != nil {
		return nil, err
	}
	run := func(pipeline string, flags ...string) (r finishedRun, err error) {
		plan, err := l.compile(pipeline)
		if err != nil {
			return r, err
		}
		if r, err = l.run(plan, l.project, 2, append(flags, "--secret-file", secrets)...); err != nil {
			return r, err
		}
		return r, os.RemoveAll(filepath.Join(r.dir, "logs")) // as large as the output
	}
	silent, err := run(printing(b.outputMiB, " > /dev/null"))
	if err != nil {
		return nil, err
	}
	alone, err := count(run(beside(" > /dev/null")))
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, kept := range []struct {
		what  string
		flags []string
	}{{"all kept", []string{"--log-limit", "1t"}}, {"100 MiB kept", nil}} {
		loud, err := run(printing(b.outputMiB, ""), kept.flags...)
		if err != nil {
			return rows, err
		}
		rate := float64(b.outputMiB<<20) / loud.took.Seconds()
		rows = append(rows,
			row{figure: fmt.Sprintf("%d MiB of output, %d secrets, %s", b.outputMiB, outputSecrets, kept.what), measured: mib(int64(rate)) + "/s",
				against: "the same to /dev/null: " + show(silent.took), ratio: over(loud.took, silent.took), bar: "300 MiB/s", over: rate < outputRate},
			row{figure: "memory meanwhile", measured: mib(loud.rss), bar: "60 MiB", over: loud.rss > outputMemory})
		counted, err := count(run(beside(""), kept.flags...))
		if err != nil {
			return rows, err
		}
		slower := over(counted, alone)
		rows = append(rows, row{figure: "a job beside one that prints, " + kept.what, measured: show(counted),
			against: "beside one that prints to /dev/null: " + show(alone), ratio: slower, bar: "1.10", over: slower > besideSlower})
	}
	return rows, nil
}

// count is how long the job that counts took.
func count(r finishedRun, err error) (time.Duration, error) {
	if err != nil {
		return 0, err
	}
	e, err := r.last("job_finished", "count")
	return seconds(e.Seconds), err
}

// secretLines are secrets as services issue them, for --secret-file.
func secretLines() []byte {
	var b strings.Builder
	for i := range outputSecrets {
		fmt.Fprintf(&b, "SECRET_%d=%s\n", i, strings.Repeat(fmt.Sprintf("%c%d+Zq/", 'A'+i, i*7919), 4))
	}
	return []byte(b.String())
}
