package pipeline

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cic-ci/cic/compile/syntax"
)

// reportKinds are the kinds of artifacts:reports (specification 24).
var reportKinds = []string{
	"junit", "browser_performance", "load_performance", "coverage_report", "codequality", "dotenv", "lsif",
	"sast", "dependency_scanning", "container_scanning", "cluster_image_scanning", "dast", "license_scanning",
	"requirements", "requirements_v2", "secret_detection", "coverage_fuzzing", "api_fuzzing", "metrics",
	"terraform", "cyclonedx", "accessibility", "annotations", "repository_xray", "sarif", "performance",
}

// coverageFormats are those of coverage_report.
var coverageFormats = []string{"cobertura", "jacoco"}

// reports decodes artifacts:reports: kinds and, for each, a path or a list.
func (d *decoder) reports(n *syntax.Node) []Report {
	const what = "artifacts:reports"
	if n.Kind != syntax.Mapping {
		d.wrongType(n, what, "a mapping")
		return nil
	}
	var reports []Report
	for _, p := range n.Pairs {
		kind := p.Key.Value
		switch {
		case !slices.Contains(reportKinds, kind):
			e := d.fail(CodeUnknownKeyword, p.Key, "unknown kind of report %q in %q", kind, what)
			if slices.Contains(coverageFormats, kind) { // cobertura was a kind up to GitLab 14
				e.Help = fmt.Sprintf("write coverage_report: {coverage_format: %s, path: ...}", kind)
			} else if near := syntax.Suggest(kind, reportKinds); near != "" {
				e.Help = fmt.Sprintf("did you mean %q?", near)
			} else {
				e.Notes = append(e.Notes, syntax.Note{Msg: "known: " + strings.Join(reportKinds, ", ")})
			}
		case !specified(p.Value):
		default:
			if paths := d.reportPaths(kind, p.Value, path(what, kind)); len(paths) > 0 {
				reports = append(reports, Report{Kind: kind, Paths: paths})
			}
		}
	}
	return reports
}

func (d *decoder) reportPaths(kind string, n *syntax.Node, what string) []Text {
	switch {
	case kind == "coverage_report":
		return d.coverageReport(n, what)
	case n.Kind == syntax.String:
		return d.texts(&syntax.Node{Kind: syntax.Sequence, Pos: n.Pos, Items: []*syntax.Node{n}}, what, d.text)
	case n.Kind != syntax.Sequence:
		d.wrongType(n, what, wantCommands)
		return nil
	}
	return d.texts(n, what, d.text)
}

func (d *decoder) coverageReport(n *syntax.Node, what string) (paths []Text) {
	ok := d.fields(n, inCoverageReport, what, func(key, value *syntax.Node) {
		switch what := path(what, key.Value); key.Value {
		case "coverage_format":
			d.word(value, what, coverageFormats)
		case "path":
			if t, ok := d.filledText(value, what); ok {
				paths = append(paths, t)
			}
		}
	})
	if !ok {
		d.wrongType(n, what, "a mapping")
		return nil
	}
	d.require(n, inCoverageReport, what, "coverage_format")
	d.require(n, inCoverageReport, what, "path")
	return paths
}
