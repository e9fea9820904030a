//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// row is one line of the table.
type row struct {
	figure, measured string
	// against is the floor or peer of the same run, in words.
	against string
	// ratio is measured over against; 0 where there is none.
	ratio float64
	// bar is what the project set itself; empty where a figure is only reported.
	bar  string
	over bool
}

// verdict says how a row stands to its bar.
func (r row) verdict() string {
	switch {
	case r.bar == "":
		return ""
	case r.over:
		return "over"
	}
	return "ok"
}

func printTable(w io.Writer, rows []row) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "figure\tmeasured\tagainst\tratio\tbar\tverdict")
	for _, r := range rows {
		ratio := ""
		if r.ratio != 0 {
			ratio = fmt.Sprintf("%.2f", r.ratio)
			if r.ratio < 0.1 {
				ratio = fmt.Sprintf("%.2g", r.ratio)
			}
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", r.figure, r.measured, r.against, ratio, r.bar, r.verdict())
	}
	return t.Flush()
}

// sample is a list of repetitions of one measurement.
type sample []time.Duration

// median is the middle one; that of none is 0.
func (s sample) median() time.Duration {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// quietest is the shortest: what else runs on the machine only ever adds. Bars
// in seconds are held against it, ratios are made of medians.
func (s sample) quietest() time.Duration { return slices.Min(s) }

// over is a ratio of two durations.
func over(a, b time.Duration) float64 { return float64(a) / float64(b) }

// show prints a duration with about three digits.
func show(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d >= time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d >= 10*time.Millisecond:
		return fmt.Sprintf("%.0f ms", d.Seconds()*1e3)
	case d >= time.Millisecond:
		return fmt.Sprintf("%.2f ms", d.Seconds()*1e3)
	}
	return fmt.Sprintf("%.0f µs", d.Seconds()*1e6)
}

// mib is a number of bytes as MiB.
func mib(bytes int64) string { return fmt.Sprintf("%d MiB", (bytes+1<<19)>>20) }

// conditions tell what else the machine had to do while the table was made.
func conditions(before, after string) string {
	return fmt.Sprintf("%d processors; load before %s, after %s, of which this program is a part", runtime.NumCPU(), before, after)
}

// load is the mean number of processes that wanted to run in the last minute.
func load() string {
	text, err := os.ReadFile("/proc/loadavg") // proc_loadavg(5)
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

// kib is a number of bytes as KiB.
func kib(bytes int64) string { return fmt.Sprintf("%d KiB", (bytes+1<<9)>>10) }
