package report

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/cic-ci/cic/exec"
)

// The shape of JUnit's XML, as far as its readers agree.
type (
	suites struct {
		XMLName  xml.Name `xml:"testsuites"`
		Name     string   `xml:"name,attr"`
		Tests    int      `xml:"tests,attr"`
		Failures int      `xml:"failures,attr"`
		Errors   int      `xml:"errors,attr"`
		Skipped  int      `xml:"skipped,attr"`
		Time     string   `xml:"time,attr"`
		Suites   []*suite `xml:"testsuite"`
	}
	suite struct {
		Name      string     `xml:"name,attr"`
		Tests     int        `xml:"tests,attr"`
		Failures  int        `xml:"failures,attr"`
		Errors    int        `xml:"errors,attr"`
		Skipped   int        `xml:"skipped,attr"`
		Time      string     `xml:"time,attr"`
		Timestamp string     `xml:"timestamp,attr"`
		Cases     []testcase `xml:"testcase"`
		seconds   time.Duration
	}
	testcase struct {
		Name       string      `xml:"name,attr"`
		Class      string      `xml:"classname,attr"`
		Time       string      `xml:"time,attr"`
		File       string      `xml:"file,attr,omitempty"` // where the command stands that failed
		Line       int         `xml:"line,attr,omitempty"`
		Properties *properties `xml:"properties"`
		Failure    *outcome    `xml:"failure"`
		Error      *outcome    `xml:"error"`
		Skipped    *outcome    `xml:"skipped"`
		Output     string      `xml:"system-out,omitempty"`
	}
	properties struct {
		List []property `xml:"property"`
	}
	property struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	outcome struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes a run as JUnit's XML: a test suite a stage, a test case a job. A
// script that failed is a failure, what is not the script's fault an error; a
// failure that is allowed, and a job that was not run, are skipped.
func JUnit(w io.Writer, r *Run) error {
	all := &suites{Name: r.Plan.Source, Time: seconds(r.Result.Duration)}
	if r.Plan.Name != "" {
		all.Name = r.Plan.Name
	}
	byStage := map[string]*suite{}
	for i := range r.Result.Jobs {
		j := &r.Result.Jobs[i]
		s := byStage[j.Stage]
		if s == nil {
			s = &suite{Name: j.Stage, Timestamp: r.Started.UTC().Format("2006-01-02T15:04:05")}
			byStage[j.Stage] = s
			all.Suites = append(all.Suites, s)
		}
		s.add(j)
	}
	for _, s := range all.Suites {
		s.Time = seconds(s.seconds)
		all.Tests, all.Failures, all.Errors, all.Skipped = all.Tests+s.Tests, all.Failures+s.Failures, all.Errors+s.Errors, all.Skipped+s.Skipped
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (s *suite) add(j *exec.JobResult) {
	c := testcase{Name: j.Name, Class: j.Stage, Time: seconds(j.Duration)}
	if j.Command != nil {
		c.File, c.Line = j.Command.File, j.Command.Line
	}
	what := &outcome{Message: j.Error, Type: string(j.Class), Text: strings.Join(j.Tail, "\n")}
	switch {
	case j.Failed() && j.Class == exec.ClassScript:
		c.Failure = what
		s.Failures++
	case j.Failed():
		c.Error = what
		s.Errors++
	case j.Status == exec.StatusFailed:
		c.Skipped = &outcome{Message: "failed, which is allowed: " + j.Error}
		c.Output = what.Text
		s.Skipped++
	case j.Status != exec.StatusSuccess:
		c.Skipped = &outcome{Message: string(j.Status) + ": " + j.Reason + j.Error}
		s.Skipped++
	}
	if j.Coverage != nil {
		c.Properties = &properties{[]property{{"coverage", fmt.Sprint(*j.Coverage)}}}
	}
	s.Tests++
	s.seconds += j.Duration
	s.Cases = append(s.Cases, c)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

// Tests counts test cases of JUnit reports.
type Tests struct{ Total, Failed, Skipped int }

// maxReport bounds how much of a job's report is read, in bytes.
const maxReport = 32 << 20

// count adds the test cases of a report, which may be anything.
func (t *Tests) count(report io.Reader) error {
	limited := &io.LimitedReader{R: report, N: maxReport}
	dec := xml.NewDecoder(limited)
	bad, skipped := false, false
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			if limited.N == 0 {
				return fmt.Errorf("the report is longer than %s", exec.ByteSize(maxReport))
			}
			return err
		}
		switch e := token.(type) {
		case xml.StartElement:
			switch e.Name.Local {
			case "testcase":
				bad, skipped = false, false
			case "failure", "error":
				bad = true
			case "skipped":
				skipped = true
			}
		case xml.EndElement:
			if e.Name.Local == "testcase" {
				t.Total++
				if bad {
					t.Failed++
				} else if skipped {
					t.Skipped++
				}
			}
		}
	}
}
