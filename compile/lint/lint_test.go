package lint

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/cic-ci/cic/compile/syntax"
)

// report has one diagnostic of each kind, with all that has to be escaped.
func report() *Report {
	at := func(file string, line, column int) syntax.Pos { return syntax.Pos{File: file, Line: line, Col: column} }
	return NewReport("sub/ci.yml", "ci.yml", syntax.ErrorList{
		{Code: "CIC2002", Pos: at("ci.yml", 7, 2), Len: 3, Msg: "100% of \"{0}\", [a](b):\x1b", Help: "one\ntwo",
			Notes: []syntax.Note{{Pos: at("a b,c:d.yml", 1, 1), Msg: "here"}, {Msg: "{x}"}}},
		{Code: "CIC2001", Pos: at("/else/where.yml", 1, 1), Msg: "same"},
		{Code: "CIC2001", Pos: at("/else/where.yml", 2, 1), Msg: "same"},
		{Code: "CIC4002", Msg: "an option", Severity: syntax.SeverityWarning},
		{Code: "CIC2003", Pos: at("ci.yml", 9, 1), Msg: "silent", Severity: syntax.SeverityWarning, Ignored: syntax.IgnoredByOption},
	}, nil, []Pipeline{})
}

func TestCounts(t *testing.T) {
	if r := report(); r.Errors != 3 || r.Warnings != 1 || len(r.Diagnostics) != 5 || r.Diagnostics[0].Severity != SeverityWarning {
		t.Errorf("%+v", r)
	}
}

func TestGitHub(t *testing.T) {
	var b strings.Builder
	if err := report().WriteGitHub(&b); err != nil {
		t.Fatal(err)
	}
	const want = `::warning title=CIC4002::an option
::error file=/else/where.yml,line=1,col=1,endColumn=2,title=CIC2001::same
::error file=/else/where.yml,line=2,col=1,endColumn=2,title=CIC2001::same
::error file=sub/ci.yml,line=7,col=2,endColumn=5,title=CIC2002::100%25 of "{0}", [a](b):\x1b%0Ahelp: one%0Atwo
`
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", &b, want)
	}
	if got := property("a,b:c%\n"); got != `a%2Cb%3Ac%25\n` {
		t.Error(got)
	}
}

func TestCodeQuality(t *testing.T) {
	var b strings.Builder
	if err := report().WriteCodeQuality(&b); err != nil {
		t.Fatal(err)
	}
	var issues []issue
	if err := json.Unmarshal([]byte(b.String()), &issues); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, i := range issues {
		if seen[i.Fingerprint] {
			t.Errorf("a second issue has fingerprint %s", i.Fingerprint)
		}
		seen[i.Fingerprint] = true
	}
	if len(issues) != 4 || issues[0].Location.Path != "sub/ci.yml" || issues[0].Location.Lines.Begin != 1 || issues[0].Severity != "minor" {
		t.Errorf("%+v", issues)
	}
	// What moves keeps its fingerprint.
	moved := report()
	moved.Diagnostics[3].Place.Line++
	b.Reset()
	if err := moved.WriteCodeQuality(&b); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), issues[3].Fingerprint) {
		t.Error("a line that moved changes the fingerprint")
	}
}

func TestSARIF(t *testing.T) {
	var b strings.Builder
	explain := func(code string) (Rule, bool) {
		return Rule{Title: "title", Text: "text", Markdown: "*text*"}, code == "CIC2002"
	}
	if err := report().WriteSARIF(&b, "1.2.3", explain); err != nil {
		t.Fatal(err)
	}
	var log sarifLog
	if err := json.Unmarshal([]byte(b.String()), &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	results := run.Results
	if len(results) != 5 || log.Version != "2.1.0" || run.ColumnKind != "unicodeCodePoints" || run.Tool.Driver.Version != "1.2.3" {
		t.Fatalf("%s", &b)
	}
	for _, r := range results {
		if run.Tool.Driver.Rules[r.RuleIndex].ID != r.RuleID {
			t.Errorf("result of %s points to rule %d", r.RuleID, r.RuleIndex)
		}
	}
	bad := results[3]
	if want := "100% of \"{{0}}\", [a\\](b):\x1b\nhelp: one\ntwo\nnote: {{x}}"; bad.Message.Text != want {
		t.Errorf("got %q, want %q", bad.Message.Text, want)
	}
	if got := bad.RelatedLocations[0].Physical.Artifact.URI; got != "a%20b,c:d.yml" && got != "./a%20b,c:d.yml" {
		t.Error(got)
	}
	if got := results[1].Locations[0].Physical.Artifact.URI; got != "file:///else/where.yml" {
		t.Error(got)
	}
	if rule := run.Tool.Driver.Rules[bad.RuleIndex]; rule.Help == nil || rule.Help.Markdown != "*text*" || rule.ShortDescription.Text != "title" {
		t.Errorf("%+v", rule)
	}
	if s := results[4].Suppressions; len(s) != 1 || s[0].Kind != "external" || results[0].Locations != nil {
		t.Errorf("%+v", results)
	}
}
