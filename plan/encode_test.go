package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"
)

func TestEncodeCanonical(t *testing.T) {
	got, err := Encode(full(t))
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/full.json"
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("the encoding differs from %s, which is committed:\n%s", golden, got)
	}
	if !json.Valid(got) {
		t.Error("not JSON")
	}
}

func TestEncodeLines(t *testing.T) {
	long := strings.Repeat("x", 50)
	for _, test := range []struct{ compact, want string }{
		{`{"a":[]}`, "{\n  \"a\": []\n}\n"},
		{`{"a":{}}`, "{\n  \"a\": {}\n}\n"},
		{`{"a":["b","c"]}`, "{\n  \"a\": [\"b\", \"c\"]\n}\n"},
		{`{"a":[["b"],["c",1]]}`, "{\n  \"a\": [\n    [\"b\"],\n    [\"c\", 1]\n  ]\n}\n"},
		{`{"a":{"b":1}}`, "{\n  \"a\": {\n    \"b\": 1\n  }\n}\n"},
		{`{"a":[{"b":1,"c":true}]}`, "{\n  \"a\": [\n    {\"b\": 1, \"c\": true}\n  ]\n}\n"},
		{`{"a":["\",}]{["]}`, "{\n  \"a\": [\"\\\",}]{[\"]\n}\n"},
		{`{"a":["` + long + `","` + long + `"]}`, "{\n  \"a\": [\n    \"" + long + "\",\n    \"" + long + "\"\n  ]\n}\n"},
	} {
		l := layout{src: []byte(test.compact)}
		l.value(0, false)
		if got := l.out.String() + "\n"; got != test.want {
			t.Errorf("%s: got\n%swant\n%s", test.compact, got, test.want)
		}
	}
}

func TestEncodeRefusesInvalid(t *testing.T) {
	p := full(t)
	p.Jobs[0].Timeout = 0
	var invalid ValidationError
	if _, err := Encode(p); !errors.As(err, &invalid) {
		t.Errorf("got %v, want a ValidationError", err)
	}
	if _, err := EncodeMap(&SourceMap{FormatVersion: "2.0"}); !errors.As(err, &invalid) {
		t.Errorf("map: got %v, want a ValidationError", err)
	}
}

// TestEncodeRefusesTooLarge: what is written must be readable again.
func TestEncodeRefusesTooLarge(t *testing.T) {
	big := Literal(strings.Repeat("x", maxText))
	j := simple("big", "build")
	for i := range MaxPlanSize / maxText {
		j.Variables = append(j.Variables, Variable{fmt.Sprintf("V%02d", i), big})
	}
	if _, err := Encode(assemble(t, j)); err == nil || !strings.Contains(err.Error(), "would take 64 MiB") {
		t.Errorf("got %v", err)
	}
}

func TestEncodeEmptyLists(t *testing.T) {
	p := assemble(t)
	data, err := Encode(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{`"stages": []`, `"batches": []`, `"jobs": []`} {
		if !bytes.Contains(data, []byte(field)) {
			t.Errorf("no %s in\n%s", field, data)
		}
	}
	if m, err := EncodeMap(&SourceMap{FormatVersion: FormatVersion}); err != nil || bytes.Contains(m, []byte("null")) {
		t.Errorf("empty map: %s, %v", m, err)
	}
}

func TestRoundTrip(t *testing.T) {
	plans := []*Plan{full(t), assemble(t)}
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		plans = append(plans, randomPlan(t, r))
	}
	for _, p := range plans {
		data, err := Encode(p)
		if err != nil {
			t.Fatal(err)
		}
		back, warnings, err := Decode(data)
		if err != nil || len(warnings) > 0 {
			t.Fatalf("%v %v in\n%s", err, warnings, data)
		}
		if !reflect.DeepEqual(p, back) {
			t.Fatalf("Decode(Encode(p)) != p for\n%s", data)
		}
		again, err := Encode(back)
		if err != nil || !bytes.Equal(data, again) {
			t.Fatalf("Encode(Decode(b)) != b: %v", err)
		}
		// Layout does not matter to Decode.
		var compact bytes.Buffer
		if err := json.Compact(&compact, data); err != nil {
			t.Fatal(err)
		}
		if back, _, err = Decode(compact.Bytes()); err != nil || !reflect.DeepEqual(p, back) {
			t.Fatalf("compact form: %v", err)
		}
	}
}

func TestMapRoundTrip(t *testing.T) {
	m := &SourceMap{
		FormatVersion: FormatVersion, Files: []string{"ci.yml", "a/b.yml"},
		Scripts: map[string][]MapLine{"jobs/b.sh": {{3, 0, 7}, {5, 1, 2}}, "jobs/a.sh": {{1, 1, 1}}},
	}
	data, err := EncodeMap(m)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
  "format_version": "1.0",
  "files": ["ci.yml", "a/b.yml"],
  "scripts": {
    "jobs/a.sh": [
      {"script": 1, "file": 1, "line": 1}
    ],
    "jobs/b.sh": [
      {"script": 3, "file": 0, "line": 7},
      {"script": 5, "file": 1, "line": 2}
    ]
  }
}
`
	if string(data) != want {
		t.Errorf("got\n%s", data)
	}
	back, _, err := DecodeMap(data)
	if err != nil || !reflect.DeepEqual(m, back) {
		t.Errorf("%v: %+v", err, back)
	}
}

// TestTextIsSelfContained: values marshal the same by themselves, for those who
// embed them in JSON of their own.
func TestTextIsSelfContained(t *testing.T) {
	vs := Variables{{"A", Literal("<x>")}, {"B", Text{"${CI_JOB_ID}", true}}}
	data, err := json.Marshal(vs)
	if err != nil {
		t.Fatal(err)
	}
	var back Variables
	if err := json.Unmarshal(data, &back); err != nil || !reflect.DeepEqual(vs, back) {
		t.Errorf("%v: %v", err, back)
	}
	for _, bad := range []string{`{"A":{"template":"x","more":1}}`, `{"A":{}}`, `{"A":3}`, `[]`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, n := range []int{1000, 20000} {
		p := layered(b, n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				if _, err := Encode(p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	data, err := Encode(layered(b, 5000))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, _, err := Decode(data); err != nil {
			b.Fatal(err)
		}
	}
}

// layered returns a plan of n jobs in stages of 100, each with three needs.
func layered(t testing.TB, n int) *Plan {
	jobs := make([]Job, n)
	for i := range jobs {
		jobs[i] = simple(fmt.Sprintf("job-%d", i), fmt.Sprintf("stage-%d", i/100))
		jobs[i].Variables = Variables{{"A", Literal("1")}, {"B", Literal("some text")}, {"C", Literal("more")}}
		for k := i - 150; i >= 200 && k < i-147; k++ {
			jobs[i].Needs = append(jobs[i].Needs, Need{Job: jobs[k].Name, Artifacts: true})
		}
	}
	return assemble(t, jobs...)
}
