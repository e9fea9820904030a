package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"
)

func TestDecodeErrors(t *testing.T) {
	valid, err := Encode(full(t))
	if err != nil {
		t.Fatal(err)
	}
	replace := func(old, new string) string {
		t.Helper()
		if !bytes.Contains(valid, []byte(old)) {
			t.Fatalf("the plan has no %s", old)
		}
		return strings.Replace(string(valid), old, new, 1)
	}
	for _, test := range []struct{ name, input, want string }{
		{"empty", "", "1:1: the file ends too early: it is cut off (byte 0)"},
		{"truncated", "{\n  \"format_version\": \"1.0\",\n", "3:1: the file ends too early: it is cut off (byte 29)"},
		{"in a string", `{"format_ver`, "1:13: the file ends too early: it is cut off (byte 12)"},
		{"trailing", string(valid) + "x", "invalid character 'x' after top-level value"},
		{"two values", `{"format_version": "1.0"} {}`, "1:27: invalid character '{' after top-level value (byte 26)"},
		{"not JSON", "{\n  format_version: 1}", "2:3: invalid character 'f' looking for beginning of object key string (byte 4)"},
		{"a list", "[]", `1:1: not a plan: it has no "format_version" (byte 0)`},
		{"no version", `{"jobs": []}`, `1:1: not a plan: it has no "format_version" (byte 0)`},
		{"number as version", `{"format_version": 1.0}`, `not a plan`},
		{"byte order mark", "\ufeff{}", "1:1: invalid character 'ï' looking for beginning of value (byte 0)"},
		{"not UTF-8", "{\"a\": \"b\xffc\"}", "1:9: not UTF-8 (byte 8)"},
		{"unknown field", replace(`"stage": "build"`, `"stge": "build"`), `83:7: jobs[0]: unknown field "stge" (byte`},
		{"another case", replace(`"interruptible": true`, `"Interruptible": true`), `jobs[2]: unknown field "Interruptible"`},
		{"duplicate key", replace(`"interruptible": true`, `"interruptible": false, "interruptible": true`), `jobs[2]: key "interruptible" is there twice`},
		{"duplicate escaped", replace(`"interruptible": true`, `"interruptible": false, "interrupt\u0069ble": true`), `jobs[2]: key "interruptible" is there twice`},
		{"duplicate variable", replace(`"DB": "sqlite"`, `"DB": "sqlite", "DB": "x"`), `jobs[2].matrix: key "DB" is there twice`},
		{"duplicate in a map", replace(`"KIND": "web"`, `"KIND": "web", "KIND": null`), `context.read: key "KIND" is there twice`},
		{"duplicate in a template", replace(`"template": "app-${CI_COMMIT_SHA}"`, `"template": "a", "template": "b"`), `key "template" is there twice`},
		{"template without text", replace(`"template": "app-${CI_COMMIT_SHA}"`, ``), `jobs[0].artifacts.name: want a string or {"template": "..."}`},
		{"null", replace(`"stages": ["build", "test", "deploy"]`, `"stages": null`), `stages: null is not allowed`},
		{"null variable", replace(`"APP": "a`, `"A": null, "APP": "a`), `jobs[2].variables.A: null is not allowed`},
		{"number for a string", replace(`"source": ".gitlab-ci.yml"`, `"source": 1`), `source: want a string, found 1`},
		{"string for a number", replace(`"timeout": 600`, `"timeout": "600"`), `jobs[2].timeout: want an integer that fits 64 bits, in plain decimal, found "600"`},
		{"object for a list", replace(`"given": ["APP"]`, `"given": {}`), `context.given: want an array, found an object`},
		{"list for an object", replace(`"inputs": {`, `"inputs": [], "x": {`), `jobs[2].inputs: want an object, found an array`},
		{"string for a boolean", replace(`"privileged": true`, `"privileged": "yes"`), `want true or false, found "yes"`},
		{"2^63", replace(`"timeout": 600`, `"timeout": 9223372036854775808`), `found 9223372036854775808`},
		{"exponent", replace(`"timeout": 600`, `"timeout": 1e2`), `jobs[2].timeout: want an integer`},
		{"fraction", replace(`"timeout": 600`, `"timeout": 600.0`), `jobs[2].timeout: want an integer`},
		{"minus zero", replace(`"timeout": 600`, `"timeout": -0`), `jobs[2].timeout: want an integer`},
		{"1e400", replace(`"cpus": 1.5`, `"cpus": 1e400`), `jobs[2].resources.cpus: want a finite number, not negative, found 1e400`},
		{"minus zero float", replace(`"cpus": 1.5`, `"cpus": -0.0`), `want a finite number, not negative, found -0.0`},
		{"string for a float", replace(`"cpus": 1.5`, `"cpus": "1"`), `want a finite number`},
		{"newer major", `{"format_version": "2.0", "unheard_of": {}}`, "the plan was made by a newer cic: its format is 2.0, this cic reads 1.0; use a newer cic"},
		{"older major", `{"format_version": "0.9"}`, `the plan's format is "0.9", this cic reads 1.0; compile the pipeline again`},
		{"odd version", `{"format_version": "1.00"}`, `the plan's format is "1.00"`},
		{"negative version", `{"format_version": "1.-1"}`, `the plan's format is "1.-1"`},
		{"deep", `{"format_version": "1.0", "x": ` + strings.Repeat("[", 20000), "exceeded max depth"},
		{"invalid", replace(`"timeout": 600`, `"timeout": 0`), `jobs[2] "test: [3.11, sqlite]": timeout: 0 is not from 1 to 2592000 seconds`},
		{"too large", strings.Repeat(" ", MaxPlanSize+1), "larger than 64 MiB"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, warnings, err := Decode([]byte(test.input))
			if err == nil {
				t.Fatal("accepted")
			}
			if p != nil || warnings != nil {
				t.Error("a result beside the error")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("got  %s\nwant %s", err, test.want)
			}
		})
	}
}

func TestDecodeNewerMinor(t *testing.T) {
	data, err := Encode(full(t))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(data), `"1.0",`, `"1.7", "hints": {"a": [1, {"b": null}, "]"]},`, 1)
	text = strings.Replace(text, `"timeout": 600`, `"tpm": true, "timeout": 600`, 1)
	p, warnings, err := Decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"the plan was made by a newer cic: its format is 1.7, this cic reads 1.0",
		"hints: unknown field of a newer format, ignored", "jobs[2].tpm: unknown field of a newer format, ignored"}
	if !reflect.DeepEqual(warnings, want) {
		t.Errorf("warnings %q", warnings)
	}
	// What is written again has only the fields of this version.
	again, err := Encode(p)
	if err != nil || !bytes.Equal(again, data) {
		t.Errorf("%v:\n%s", err, again)
	}
	if _, _, err = Decode([]byte(strings.Replace(text, `"b": null`, `"b": 1, "b": 2`, 1))); err == nil {
		t.Error("a duplicate key in an unknown field was accepted")
	}
}

func TestDecodeEmptyListsAreNone(t *testing.T) {
	data, err := Encode(full(t))
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	start := strings.Index(text, `"secrets": [`)
	end := start + strings.Index(text[start:], `"reads"`)
	text = text[:start] + `"secrets": [], ` + text[end:]
	text = strings.Replace(text, `"matrix": {`, `"matrix": {}, "artifacts": {"reports": {}, "untracked": true, "when": "always"}, "caches": [], "x": {`, 1)
	text = strings.Replace(text, `"x": {
        "DB": "sqlite",
        "PY": "3.11"
      },
      `, "", 1)
	text = strings.Replace(text, `"artifacts": {
        "untracked": true,
        "when": "on_success"
      },
      "caches": [`, `"caches": [`, 1)
	i := strings.Index(text, `"caches": [
        {`)
	j := strings.Index(text, `"dotenv_from"`)
	text = text[:i] + text[j:]
	p, _, err := Decode([]byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	job := p.Jobs[2]
	if job.Secrets != nil || job.Matrix != nil || job.Caches != nil || job.Artifacts.Reports != nil {
		t.Errorf("%#v %#v %#v %#v", job.Secrets, job.Matrix, job.Caches, job.Artifacts.Reports)
	}
}

// TestDecodeMutations edits one value or byte of a valid plan at a time: Decode
// accepts what it can encode again, or refuses; it never panics.
func TestDecodeMutations(t *testing.T) {
	valid, err := Encode(full(t))
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(valid, &tree); err != nil {
		t.Fatal(err)
	}
	values := []any{nil, true, "", "../x", "\x00", -1.0, 1e300, []any{"x", "x"}, map[string]any{"template": "${"}}
	check := func(data []byte) {
		p, _, err := Decode(data)
		if err != nil {
			return
		}
		if _, err := Encode(p); err != nil {
			t.Errorf("Decode accepted what Encode refuses: %v\n%s", err, data)
		}
	}
	mutations := 0
	var visit func(node any, set func(any))
	visit = func(node any, set func(any)) {
		for _, v := range values {
			set(v)
			data, err := json.Marshal(tree)
			if err != nil {
				t.Fatal(err)
			}
			check(data)
			mutations++
		}
		set(node)
		switch node := node.(type) {
		case map[string]any:
			for _, key := range sortedKeys(node) {
				visit(node[key], func(v any) { node[key] = v })
			}
		case []any:
			for i := range node {
				visit(node[i], func(v any) { node[i] = v })
			}
		}
	}
	visit(tree, func(v any) { tree = v })
	if mutations < 1000 {
		t.Errorf("only %d mutations", mutations)
	}
	r := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		data := bytes.Clone(valid)
		data[r.IntN(len(data))] = `{}[]",:0-1aé `[r.IntN(13)]
		check(data)
	}
	for cut := 0; cut < len(valid)-1; cut += 11 {
		if _, _, err := Decode(valid[:cut]); err == nil {
			t.Fatalf("accepted the first %d bytes", cut)
		}
	}
}

func FuzzDecode(f *testing.F) {
	golden, err := os.ReadFile("testdata/full.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden)
	f.Add([]byte(`{"format_version":"1.0","source":"x","context":{"ref":"","ref_type":"tag","event":"e"},"stages":[],"batches":[],"jobs":[]}`))
	f.Add([]byte(`{"format_version":"1.1","a":[{"b":{}}]}`))
	f.Add([]byte(`{"format_version":"1.0","jobs":[{"name":"\ud800"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _, _ = DecodeMap(data)
		p, _, err := Decode(data)
		if err != nil {
			var at *DecodeError
			if errors.As(err, &at) && (at.Offset < 0 || at.Offset > len(data) || at.Line < 1 || at.Column < 1) {
				t.Fatalf("place out of range: %+v", at)
			}
			return
		}
		out, err := Encode(p)
		if err != nil {
			t.Fatal(err)
		}
		again, _, err := Decode(out)
		if err != nil {
			t.Fatalf("%v in\n%s", err, out)
		}
		p.FormatVersion = FormatVersion
		if !reflect.DeepEqual(p, again) {
			t.Fatalf("Decode(Encode(p)) != p for\n%s", out)
		}
	})
}
