package cmd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cic-ci/cic/exec"
)

// reader is a secretReader that keeps its warnings.
func reader(stdin string, warnings *[]string) *secretReader {
	return &secretReader{
		stdin: strings.NewReader(stdin), warn: func(w string) { *warnings = append(*warnings, w) },
		values: map[string]exec.Sensitive{}, listed: map[string]bool{},
	}
}

func TestSecretArguments(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Setenv("CIC_TEST_SECRET", "from the environment\n")
	t.Setenv("CIC_TEST_EMPTY", "")
	link := filepath.Join(dir, "link")
	if err := os.Symlink(file("linked", "through a link\n", 0o600), link); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		arg, stdin, want, err, warning string
	}{
		{arg: "CIC_TEST_SECRET", want: "from the environment\n"},
		{arg: "A=env:CIC_TEST_SECRET", want: "from the environment\n"},
		{arg: "A=-", stdin: "from standard input\n", want: "from standard input"},
		{arg: "A=-", stdin: "two\nnewlines\n\n", want: "two\nnewlines\n"},
		{arg: "A=-", stdin: "windows\r\n", err: "less than 8 characters"},
		{arg: "A=-", stdin: "windows line\r\n", want: "windows line"},
		{arg: "A=-", stdin: "ends in a return\r", want: "ends in a return\r"},
		{arg: "A=file:" + file("plain", "of a file\n", 0o600), want: "of a file"},
		{arg: "A=file:" + link, want: "through a link"},
		{arg: "A=file:" + file("open", "of a file\n", 0o644), want: "of a file", warning: "(mode 0644): chmod 600 it"},
		{arg: "A=file:" + file("one-windows", "one line\r\n", 0o600), want: "one line"},
		{arg: "A=file:" + file("windows", "one line\r\ntwo lines\r\n", 0o600), want: "one line\r\ntwo lines", warning: "Windows line ends"},
		{arg: "A=file:" + file("comma,colon:=", "odd names\n", 0o600), want: "odd names"},
		{arg: "A=file:" + dir, err: "is a directory"},
		{arg: "A=file:" + filepath.Join(dir, "none"), err: "no such file"},
		{arg: "A=file:", err: "value on the command line"},
		{arg: "A=hunter2hunter2", err: "value on the command line"},
		{arg: "A=environment:X", err: "value on the command line"},
		{arg: "A=", err: "value on the command line"},
		{arg: "CIC_TEST_UNSET", err: "no variable CIC_TEST_UNSET"},
		{arg: "CIC_TEST_EMPTY", err: "is empty"},
		{arg: "A=-", stdin: " \n\t ", err: "is empty"},
		{arg: "A=-", stdin: "1234567", err: "less than 8 characters"},
		{arg: "A=-", stdin: " 1234567  ", err: "less than 8 characters"},
		{arg: "A=-", stdin: "nul is \x00 no text", err: "holds a NUL byte"},
		{arg: "A=-", stdin: strings.Repeat("x", maxSecret+1), err: "longer than 64 KiB"},
		{arg: "A=-", stdin: strings.Repeat("x", maxSecrets+1), err: "longer than 256 KiB"},
		{arg: "hunter-2hunter2", err: "no name of a variable"},
		{arg: "=-", err: "a name is missing"},
	} {
		var warnings []string
		r := reader(tt.stdin, &warnings)
		err := r.argument(tt.arg)
		name, _, _ := strings.Cut(tt.arg, "=")
		switch {
		case tt.err == "" && (err != nil || r.values[name].Reveal() != tt.want):
			t.Errorf("%s: %q, %v; want %q", tt.arg, r.values[name].Reveal(), err, tt.want)
		case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
			t.Errorf("%s: %v, want %q", tt.arg, err, tt.err)
		}
		var coded *exitError
		if err != nil && (!errors.As(err, &coded) || coded.code != exitUsage || strings.Contains(err.Error()+coded.help, "hunter")) {
			t.Errorf("%s: %v, %+v", tt.arg, err, coded)
		}
		if (tt.warning == "") != (len(warnings) == 0) || !strings.Contains(strings.Join(warnings, "\n"), tt.warning) {
			t.Errorf("%s: warnings %q", tt.arg, warnings)
		}
	}
}

func TestSecretFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secrets")
	for _, tt := range []struct{ text, want, err string }{
		{"", "", ""},
		{"# a comment\n\n  \nA=value of a\r\nB= spaces and = signs \nC=last line", "A=value of a,B= spaces and = signs ,C=last line", ""},
		{"A='quotes stay'\n", "A='quotes stay'", ""},
		{"A=value of a\nA=another value\n", "", ":2: secret A is given twice"},
		{"A=short\n", "", ":1: secret A has less than 8"},
		{"A=value of a\nhunter2hunter2\n", "", ":2: not NAME=value"},
		{"export A=hunter2hunter2\n", "", ":1: what stands before the ="},
		{"A=\n", "", ":1: secret A is empty"},
	} {
		if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		var warnings, got []string
		r := reader("", &warnings)
		err := r.file(path)
		for name, value := range r.values {
			got = append(got, name+"="+value.Reveal())
		}
		slices.Sort(got)
		if tt.err == "" && (err != nil || strings.Join(got, ",") != tt.want) {
			t.Errorf("%q: %q, %v", tt.text, got, err)
		}
		if tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), "hunter")) {
			t.Errorf("%q: %v, want %q", tt.text, err, tt.err)
		}
		if len(warnings) > 0 {
			t.Errorf("%q: %q", tt.text, warnings)
		}
	}
}

func TestSecretLimits(t *testing.T) {
	var warnings []string
	r := reader("", &warnings)
	var err error
	for i := range 5 {
		if err = r.add(fmt.Sprintf("A%d", i), strings.Repeat("x", maxSecret)); err != nil {
			break
		}
	}
	if err == nil || !strings.Contains(err.Error(), "longer than 256 KiB together") || len(r.values) != 4 {
		t.Errorf("%d are taken: %v", len(r.values), err)
	}
	r = reader("", &warnings)
	r.short = true
	if err := r.add("A", "1"); err != nil {
		t.Error(err)
	}
	if err := r.add("B", " "); err == nil {
		t.Error("white space is a secret")
	}
}
