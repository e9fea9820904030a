package exec

import "strings"

// Mark is a marker that a job prints to begin or end a section of its log, in
// GitLab's form: section_start:TIME:NAME[OPTIONS]\r\x1b[0KHEADER. It changes how
// the log is shown, and nothing else.
// Source: https://docs.gitlab.com/ci/jobs/job_logs/#custom-collapsible-sections
type Mark struct {
	// Start tells the beginning of a section from its end.
	Start bool
	Name  string
	// Collapsed: the job asks for a section that is not shown at first.
	Collapsed bool
}

const (
	// eraseLine precedes a marker, if it is there, and ends it.
	eraseLine   = "\x1b[0K"
	maxMarkTime = 20
	maxMarkName = 200
)

// ParseMarks cuts the markers from the beginning of a line of output. rest is
// what follows: the header after one that starts a section.
func ParseMarks(line string) (marks []Mark, rest string) {
	for {
		m, after, ok := parseMark(line)
		if !ok {
			return marks, line
		}
		marks, line = append(marks, m), after
	}
}

func parseMark(line string) (m Mark, rest string, ok bool) {
	text := strings.TrimPrefix(line, eraseLine)
	if text, ok = strings.CutPrefix(text, "section_"); !ok {
		return m, line, false
	}
	if rest, m.Start = strings.CutPrefix(text, "start:"); !m.Start {
		if rest, ok = strings.CutPrefix(text, "end:"); !ok {
			return m, line, false
		}
	}
	head, rest, ended := strings.Cut(rest, "\r"+eraseLine)
	stamp, head, timed := strings.Cut(head, ":")
	if !timed || stamp == "" || len(stamp) > maxMarkTime || strings.Trim(stamp, "0123456789") != "" {
		return m, line, false
	}
	if i := strings.IndexByte(head, '['); i >= 0 {
		options, closed := strings.CutSuffix(head[i+1:], "]")
		if !closed {
			return m, line, false
		}
		for option := range strings.SplitSeq(options, ",") {
			m.Collapsed = m.Collapsed || strings.TrimSpace(option) == "collapsed=true"
		}
		head = head[:i]
	}
	if m.Name = head; !ended || !markName(head) {
		return m, line, false
	}
	return m, rest, true
}

// markName reports whether s can name a section.
func markName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c != '_' && c != '-' && c != '.' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return s != "" && len(s) <= maxMarkName
}
