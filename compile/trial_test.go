package compile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cic-ci/cic/plan"
)

// TestTried checks the records of rules: which were tried, why they do not hold,
// and what of the file they saw.
func TestTried(t *testing.T) {
	asked := ""
	o := Options{
		Given:      map[string]string{"GIVEN": "1", "API_TOKEN": "t", "BLANK_TOKEN": ""},
		Predefined: map[string]string{"CI_COMMIT_MESSAGE": "costs $TOP", "CI_REPOSITORY_URL": "https://x/y.git"},
		Tree:       func() ([]string, error) { return []string{"src/a/b.c", "Dockerfile"}, nil },
		Changes: func(compareTo string) ([]string, bool, error) {
			switch asked += "<" + compareTo + ">"; compareTo {
			case "old", "":
				return []string{"src/a/b.c"}, true, nil
			case "unknown":
				return nil, false, nil
			}
			return nil, false, fmt.Errorf("%q %w", compareTo, ErrNoRef)
		},
	}
	for _, test := range []struct{ rules, want string }{
		{`[{if: $CI}]`, `{"rule":"if: $CI"}`},
		{`[{if: $NO}, {if: $TOP == "y"}, {if: $CI_JOB_NAME}, {if: $GIVEN}]`,
			`{"rule":"if: $NO","unmet":"if"} {"rule":"if: $TOP == \"y\"","unmet":"if","values":{"TOP":"x"}} {"rule":"if: $CI_JOB_NAME","values":{"CI_JOB_NAME":"j"}}`},
		{`[{if: $CI_NODE_INDEX}, {allow_failure: true}]`, `{"rule":"if: $CI_NODE_INDEX","unmet":"if","values":{"CI_NODE_INDEX":null}} {"rule":"no condition"}`},
		{`[{if: $API_TOKEN && $MY_PASSWORD && $BLANK_TOKEN == ""}]`, `{"rule":"if: $API_TOKEN && $MY_PASSWORD && $BLANK_TOKEN == \"\"","values":{"MY_PASSWORD":"[hidden]"}}`},
		{`[{changes: [docs/*]}, {exists: ["*.md", Dockerfile]}]`, `{"rule":"changes: docs/*","unmet":"changes"} {"rule":"exists: *.md, Dockerfile"}`},
		{`[{changes: {paths: ["src/*/*"], compare_to: old}}]`, `{"rule":"changes: src/*/* (compare_to: old)"}`},
		{`[{changes: {paths: [x], compare_to: unknown}}]`, `{"rule":"changes: x (compare_to: unknown)","assumed":"changes"}`},
		{`[{changes: {paths: [x], compare_to: gone}}]`, `{"rule":"changes: x (compare_to: gone)","assumed":"changes"}`},
		// What variables of patterns mention is expanded too; what is not known, raw or in a
		// circle stays; what is predefined is taken as it is.
		{`[{exists: ["$NESTED/b.c"]}]`, `{"rule":"exists: $NESTED/b.c","values":{"DIR":"src","NESTED":"$DIR/%LETTER%","LETTER":"a"}}`},
		{`[{exists: ["$RAW/b.c", "$LOOP", "$NONE", "$CI_COMMIT_MESSAGE"]}]`,
			`{"rule":"exists: $RAW/b.c, $LOOP, $NONE, $CI_COMMIT_MESSAGE","unmet":"exists","values":{"LOOP":"$LOOP","RAW":"$DIR/a"}}`},
		// A clause behind one that does not hold is not looked at.
		{`[{if: $NO, changes: {paths: [x], compare_to: never-asked}, exists: ["$UNSEEN"]}]`,
			`{"rule":"if: $NO; changes: x (compare_to: never-asked); exists: $UNSEEN","unmet":"if"}`},
		// Variables that exist only once a job does.
		{`[{if: $CI_REPOSITORY_URL || $CI_JOB_ID}]`, `{"rule":"if: $CI_REPOSITORY_URL || $CI_JOB_ID","unmet":"if"}`},
	} {
		r := mustCompile(t, `
variables: {TOP: x, DIR: src, LETTER: a, NESTED: $DIR/%LETTER%, RAW: {value: $DIR/a, expand: false}, LOOP: $LOOP, MY_PASSWORD: p}
j: {image: a, script: [x], rules: `+test.rules+`}
other: {image: a, script: [x]}
`, o)
		key := ""
		if j := job(r.Plan, "j"); j != nil {
			key = j.Rules
		} else {
			key = r.Plan.Excluded[0].Rules
		}
		var got []string
		for _, tried := range r.Plan.Rules[key] {
			got = append(got, jsonText(t, tried))
		}
		if diff := cmp.Diff(canonical(t, test.want), strings.Join(got, " ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.rules, diff)
		}
		if read := r.Plan.Context.Read; read["API_TOKEN"] != nil && *read["API_TOKEN"] != plan.Hidden {
			t.Error("the value of a token is recorded")
		}
	}
	if strings.Contains(asked, "never-asked") || !strings.Contains(asked, "<gone>") {
		t.Errorf("compared with %s", asked)
	}
}

// TestPatternBomb: a pattern whose variables double fifty times costs no more than
// it is long.
func TestPatternBomb(t *testing.T) {
	for _, last := range []string{"ab", `""`} {
		var text strings.Builder
		text.WriteString("variables:\n")
		for i := range 50 {
			fmt.Fprintf(&text, "  V%d: {value: $V%d$V%d}\n", i, i+1, i+1)
		}
		fmt.Fprintf(&text, "  V50: %s\n", last)
		text.WriteString("j: {image: a, script: [x], rules: [{exists: [$V0]}, {when: always}]}\n")
		Compile(Options{Source: "ci.yml", Data: []byte(text.String()), Ref: "main"})
	}
}

// TestSharedRules: jobs that the same rules decide about share one record.
func TestSharedRules(t *testing.T) {
	var text strings.Builder
	text.WriteString(".r: {image: a, script: [x], rules: [{if: $CI_COMMIT_TAG}, {if: $CI_COMMIT_BRANCH}]}\n")
	for i := range 1000 {
		fmt.Fprintf(&text, "j%d: {extends: .r}\n", i)
	}
	r := mustCompile(t, text.String(), Options{})
	if n := len(r.Plan.Rules); n != 1 {
		t.Errorf("%d records for the same rules", n)
	}
}

func jsonText(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(b.String())
}

// canonical is a row of JSON values as Go writes them.
func canonical(t *testing.T, values string) string {
	t.Helper()
	var texts []string
	for dec := json.NewDecoder(strings.NewReader(values)); dec.More(); {
		var tried plan.TriedRule
		if err := dec.Decode(&tried); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, jsonText(t, tried))
	}
	return strings.Join(texts, " ")
}
