package lint

import (
	"io"
	"net/url"
	"path"
	"strings"
)

// The parts of SARIF that are used (Static Analysis Results Interchange Format
// 2.1.0, OASIS Standard); the sections are its own.
type (
	sarifLog struct { // 3.13
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct { // 3.14
		Tool       sarifTool     `json:"tool"`
		ColumnKind string        `json:"columnKind"`
		Results    []sarifResult `json:"results"`
	}
	sarifTool struct { // 3.18
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct { // 3.19
		Name    string      `json:"name"`
		Version string      `json:"version,omitempty"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct { // 3.49
		ID               string        `json:"id"`
		ShortDescription *sarifMessage `json:"shortDescription,omitempty"`
		Help             *sarifHelp    `json:"help,omitempty"`
	}
	sarifHelp struct { // 3.12
		Text     string `json:"text"`
		Markdown string `json:"markdown,omitempty"`
	}
	sarifResult struct { // 3.27
		RuleID           string             `json:"ruleId"`
		RuleIndex        int                `json:"ruleIndex"`
		Level            string             `json:"level"`
		Message          sarifMessage       `json:"message"`
		Locations        []sarifLocation    `json:"locations,omitempty"`
		RelatedLocations []sarifLocation    `json:"relatedLocations,omitempty"`
		Fingerprints     map[string]string  `json:"partialFingerprints"`
		Suppressions     []sarifSuppression `json:"suppressions,omitempty"`
	}
	sarifMessage struct { // 3.11
		Text string `json:"text"`
	}
	sarifLocation struct { // 3.28
		Physical sarifPhysical `json:"physicalLocation"`
		Message  *sarifMessage `json:"message,omitempty"`
	}
	sarifPhysical struct { // 3.29
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   sarifRegion   `json:"region"`
	}
	sarifArtifact struct { // 3.4
		URI string `json:"uri"`
	}
	sarifRegion struct { // 3.30
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn"`
		EndColumn   int `json:"endColumn"`
	}
	sarifSuppression struct { // 3.35
		Kind string `json:"kind"`
	}
)

// Rule tells about a code.
type Rule struct {
	Title string
	// Text and Markdown are the whole explanation.
	Text, Markdown string
}

// WriteSARIF writes all diagnostics as SARIF 2.1.0; those that are ignored are
// suppressed results. version is that of cic; explain tells about a code, false
// for one without an explanation.
func (r *Report) WriteSARIF(w io.Writer, version string, explain func(code string) (Rule, bool)) error {
	run := sarifRun{
		Tool:       sarifTool{Driver: sarifDriver{Name: "cic", Version: version, Rules: []sarifRule{}}},
		ColumnKind: "unicodeCodePoints",
		Results:    []sarifResult{},
	}
	rules, known := map[string]int{}, fingerprints{}
	for i := range r.Diagnostics {
		d := &r.Diagnostics[i]
		index, ok := rules[d.Code]
		if !ok {
			index = len(rules)
			rules[d.Code] = index
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, newSarifRule(d.Code, explain))
		}
		run.Results = append(run.Results, newSarifResult(d, index, known.of(d)))
	}
	return writeJSON(w, sarifLog{
		Schema: "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json", Version: "2.1.0",
		Runs: []sarifRun{run},
	})
}

func newSarifRule(code string, explain func(string) (Rule, bool)) sarifRule {
	rule := sarifRule{ID: code}
	if e, ok := explain(code); ok {
		rule.ShortDescription = &sarifMessage{e.Title}
		rule.Help = &sarifHelp{Text: e.Text, Markdown: e.Markdown}
	}
	return rule
}

func newSarifResult(d *Diagnostic, rule int, fingerprint string) sarifResult {
	text := d.Message
	if d.Help != "" {
		text += "\nhelp: " + d.Help
	}
	out := sarifResult{
		RuleID: d.Code, RuleIndex: rule, Level: d.Severity, Message: sarifText(text),
		Fingerprints: map[string]string{"codeFileMessage/v1": fingerprint},
	}
	if d.Place != nil {
		out.Locations = []sarifLocation{{Physical: newSarifPlace(d.Place)}}
	}
	for _, n := range d.Notes {
		message := sarifText(n.Message)
		if n.Place == nil {
			out.Message.Text += "\nnote: " + message.Text
			continue
		}
		out.RelatedLocations = append(out.RelatedLocations, sarifLocation{Physical: newSarifPlace(n.Place), Message: &message})
	}
	switch d.Ignored {
	case "comment":
		out.Suppressions = []sarifSuppression{{"inSource"}}
	case "option":
		out.Suppressions = []sarifSuppression{{"external"}}
	}
	return out
}

func newSarifPlace(p *Place) sarifPhysical {
	return sarifPhysical{
		Artifact: sarifArtifact{fileURI(p.File)},
		Region:   sarifRegion{StartLine: p.Line, StartColumn: p.Column, EndColumn: p.EndColumn},
	}
}

// sarifEscapes are what a message means something else by: braces are of
// placeholders (3.11.5), a bracket before a parenthesis is of a link (3.11.6).
var sarifEscapes = strings.NewReplacer("{", "{{", "}", "}}", "](", `\](`)

func sarifText(text string) sarifMessage { return sarifMessage{sarifEscapes.Replace(text)} }

// fileURI is the name of a file as a relative reference; only a file outside of
// the project is named from the root (RFC 3986, 4.2; RFC 8089).
func fileURI(name string) string {
	if path.IsAbs(name) {
		return (&url.URL{Scheme: "file", Path: name}).String()
	}
	return (&url.URL{Path: name}).String()
}
