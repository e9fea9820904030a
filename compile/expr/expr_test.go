package expr

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/cic-ci/cic/compile/match"
)

func lookupIn(vars map[string]string) Lookup {
	return func(name string) (string, bool) {
		v, ok := vars[name]
		return v, ok
	}
}

type vars = map[string]string

func TestEval(t *testing.T) {
	tests := []struct {
		src  string
		vars vars
		want bool
	}{
		// The reference vectors of section 9.4.
		{`$A == "x" && $B == "y" || $C`, vars{"A": "x", "B": "y"}, true},
		{`$A == "x" || $B == "y" && $C == "z"`, vars{"A": "x"}, true},
		{`($A || $B) && $C`, vars{"A": "1", "C": "1"}, true},
		{`$A =~ /^feat/`, vars{"A": "feature"}, true},
		{`$A =~ /FEAT/i`, vars{"A": "feat"}, true},
		{`$A =~ $RE`, vars{"A": "main", "RE": "/^ma.*/"}, true},
		{`$A =~ "/^ma/"`, vars{"A": "main"}, true},
		{`$A !~ /x/`, nil, true},
		{`$A == null`, nil, true},
		{`$A != null`, nil, false},
		{`$A == ''`, nil, false},
		{`$A == $B`, nil, true},
		{`$CI_COMMIT_BRANCH =~ /^(main|release\/.*)$/`, vars{"CI_COMMIT_BRANCH": "release/1"}, true},

		// Null, empty and blank (9.3).
		{`$E == null`, vars{"E": ""}, false},
		{`$E == ""`, vars{"E": ""}, true},
		{`$U == ""`, nil, false},
		{`null`, nil, false},
		{`$A`, vars{"A": "false"}, true},
		{`$A`, vars{"A": "0"}, true},
		{`$A`, vars{"A": " \t\n"}, false},
		{`$A`, vars{"A": ""}, false},
		{`"x"`, nil, true},
		{`""`, nil, false},
		{`/ab/`, nil, true},
		{`"it's"`, nil, true},
		{`$A == "it's"`, vars{"A": "it's"}, true},
		{`$A == 'say "x"'`, vars{"A": `say "x"`}, true},
		{`$A == "a\n"`, vars{"A": `a\n`}, true},
		{`$A == "MAIN"`, vars{"A": "main"}, false},
		{`$1A == "x"`, vars{"1A": "x"}, true},

		// Operands come back from && and ||, "" is truthy for them (33.1).
		{`$E || "x" == "x"`, vars{"E": ""}, false},
		{`$E && "x" == "x"`, vars{"E": ""}, true},
		{`$U || "x" == "x"`, nil, true},
		{`$U && "x" == "x"`, nil, false},
		{`"x" && ""`, nil, false},
		{`null || null`, nil, false},
		{`false || "x"`, nil, true},

		// Booleans and chains.
		{`true`, nil, true},
		{`false`, nil, false},
		{`$A == true`, vars{"A": "true"}, false},
		{`$A == "true"`, vars{"A": "true"}, true},
		{`($A == "x") == true`, vars{"A": "x"}, true},
		{`$A == $A == $A`, vars{"A": "x"}, false},
		{`$A == $B == true`, vars{"A": "x", "B": "x"}, true},

		// Unary ! is "not present" and binds tightest.
		{`!$A`, nil, true},
		{`!$A`, vars{"A": " "}, true},
		{`!$A`, vars{"A": "x"}, false},
		{`!!$A`, vars{"A": "x"}, true},
		{`!$A == true`, nil, true},
		{`!($A == "x")`, vars{"A": "x"}, false},
		{`$A!=$B`, vars{"A": "x"}, true},
		{`$A!~/ab/`, vars{"A": "ab"}, false},

		// Patterns.
		{`$A =~ /b/`, vars{"A": "abc"}, true},
		{`$U =~ /^$/`, nil, true},
		{`$A =~ $U`, vars{"A": "x"}, false},
		{`$A !~ $U`, vars{"A": "x"}, true},
		{`$A =~ null`, vars{"A": "x"}, false},
		{`$A =~ /a.c/s`, vars{"A": "a\nc"}, true},
		{`$A =~ /a.c/`, vars{"A": "a\nc"}, false},
		{`$A =~ /^bc$/m`, vars{"A": "a\nbc\nd"}, true},
		{`$A =~ /^bc$/`, vars{"A": "a\nbc\nd"}, false},
		{`$A =~ /^A.C$/ism`, vars{"A": "x\na\nc"}, true},
		{`$A =~ /(a+)U*?$/U`, vars{"A": "aaa"}, true},
		{`$A =~ /a\/b/`, vars{"A": "a/b"}, true},
		{`$A =~ $RE`, vars{"A": "a/b", "RE": "/a/b/"}, true},
		{`$A =~ $RE`, vars{"A": "MAIN", "RE": "/main/i"}, true},
		{`/ab/ == /ab/`, nil, true},
		{`/ab/ == "/ab/"`, nil, false},
		{`($A == "x") =~ /true/`, vars{"A": "x"}, true},
		{`$A =~ /(a+)+$/`, vars{"A": strings.Repeat("a", 5000) + "!"}, false},

		// No pattern on the right: does the right text contain the left one (33.2)?
		{`$A =~ "main and more"`, vars{"A": "main"}, true},
		{`$A =~ "main"`, vars{"A": "main and more"}, false},
		{`$A !~ "main and more"`, vars{"A": "main"}, false},
		{`$E =~ "anything"`, vars{"E": ""}, true},
		{`$U =~ "anything"`, nil, true},
		{`$E =~ ""`, vars{"E": ""}, true},
		{`$A =~ $RE`, vars{"A": "(", "RE": "/(/"}, true},
		{`$A =~ $RE`, vars{"A": "main", "RE": "/main/x"}, true},

		// What cannot be evaluated makes the whole expression false.
		{`$A =~ true`, vars{"A": "x"}, false},
		{`$A !~ true`, vars{"A": "x"}, false},
		{`!($A =~ true)`, vars{"A": "x"}, false},
		{`$A =~ true || "x"`, vars{"A": "x"}, false},
		{`"x" || $A =~ true`, vars{"A": "x"}, true},
		{`$A !~ false`, vars{"A": "x"}, true},

		// White space, line breaks among it.
		{"$A\n  ==\t\"x\"\n", vars{"A": "x"}, true},
	}
	for _, tt := range tests {
		e, err := Parse(tt.src)
		if err != nil {
			t.Errorf("Parse(%q): %v", tt.src, err)
			continue
		}
		if got := e.Eval(lookupIn(tt.vars), match.New(match.Texts)); got != tt.want {
			t.Errorf("%q with %q = %v, want %v", tt.src, tt.vars, got, tt.want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	tests := []struct {
		src         string
		offset, len int
		msg, help   string
	}{
		{``, 0, 1, "expression is empty", ""},
		{"  \n", 0, 1, "expression is empty", ""},
		{`${A} == "x"`, 0, 4, "${...} is no variable in an expression", "write $A"},
		{`"ä" == ${A`, 7, 3, "${...} is no variable in an expression", "write $A"},
		{`${A:-x} == "x"`, 0, 7, "${...} is no variable in an expression", "write $A"},
		{`%A% == "x"`, 0, 3, "%...% is no variable in an expression", "write $A"},
		{`$[[ inputs.a ]] == "x"`, 0, 15, "inputs are not available here", ""},
		{`$A == main`, 6, 4, `unexpected word "main"`, `quote it: "main"; a variable begins with $`},
		{`$A == x`, 6, 1, `unexpected word "x"`, `quote it: "x"; a variable begins with $`},
		{`$N == 1`, 6, 1, `unexpected word "1"`, `quote it: "1"; a variable begins with $`},
		{`$A == nullable`, 6, 8, `unexpected word "nullable"`, `quote it: "nullable"; a variable begins with $`},
		{`$A == None`, 6, 4, `unexpected word "None"`, "write null"},
		{`$A = "x"`, 3, 1, `unknown operator "="`, "write =="},
		{`$A === "x"`, 5, 1, `unknown operator "="`, "write =="},
		{`$A & $B`, 3, 1, `unknown operator "&"`, "write &&"},
		{`$A ~ /ab/`, 3, 1, `unknown operator "~"`, "write =~"},
		{`$A > "1"`, 3, 1, `unknown operator ">"`, "only ==, !=, =~ and !~ compare"},
		{`$A == "x" and $B`, 10, 3, `unknown operator "and"`, "write &&"},
		{`$A or $B`, 3, 2, `unknown operator "or"`, "write ||"},
		{`not $A`, 0, 3, `unknown operator "not"`, "write !"},
		{`"x"y`, 3, 1, `text "y" behind a string`, "a string has no escape sequences; use the other kind of quotes outside"},
		{`$A == "x`, 6, 2, "string is not closed", `add the closing "`},
		{"$A == \"x\ny\"", 6, 2, "string is not closed", `add the closing "`},
		{`$A =~ /abc`, 6, 4, "pattern is not closed", `end it with /; write \/ for a slash inside`},
		{`$A =~ //`, 6, 2, "pattern is empty", ""},
		{`$ == "x"`, 0, 1, "a variable name must follow $", ""},
		{`$A == é`, 6, 1, `unexpected word "é"`, `quote it: "é"; a variable begins with $`},
		{`$A == ?`, 6, 1, `unexpected character "?"`, ""},
		{"$A == \xff", 6, 1, `unexpected character "\xff"`, ""},
		{`($A`, 0, 1, `"(" is not closed`, ""},
		{`($A $B)`, 4, 2, "an operator is missing before $B", "join conditions with && or ||"},
		{`$A)`, 2, 1, `")" closes nothing`, ""},
		{`()`, 1, 1, `a value is missing before ")"`, ""},
		{`$A ==`, 3, 2, "a value is missing after ==", ""},
		{`$A == == "x"`, 6, 2, "operator == stands twice", ""},
		{`&& $A`, 0, 2, "a value is missing before &&", ""},
		{`$A $B`, 3, 2, "an operator is missing before $B", "join conditions with && or ||"},
		{`!`, 0, 1, "a value is missing after !", ""},
		{`$A =~ /ab(/`, 7, 3, "invalid regular expression: missing closing )", ""},
		{`$A =~ /ä[z-a]b/i`, 9, 3, "invalid regular expression: invalid character class range", ""},
		{`$A =~ /^(?!main)/`, 8, 3, "invalid regular expression: invalid or unsupported Perl syntax",
			"the dialect is RE2, which has no lookahead, lookbehind or backreferences"},
	}
	for _, tt := range tests {
		_, err := Parse(tt.src)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("Parse(%q): no *Error but %v", tt.src, err)
			continue
		}
		if want := (Error{tt.offset, tt.len, tt.msg, tt.help}); *e != want {
			t.Errorf("Parse(%q):\n got %+v\nwant %+v", tt.src, *e, want)
		}
	}
}

func TestTokenLimit(t *testing.T) {
	most := strings.Repeat("$A || ", 49) + "$A" // 99 tokens
	if _, err := Parse(most); err != nil {
		t.Errorf("99 tokens: %v", err)
	}
	_, err := Parse(most + " || $B")
	var e *Error
	if !errors.As(err, &e) || e.Offset != len(most)+1 || !strings.Contains(e.Msg, "99 tokens") {
		t.Errorf("101 tokens: %+v", err)
	}
	if _, err := Parse(strings.Repeat("!", 98) + "$A"); err != nil {
		t.Errorf("99 tokens of depth: %v", err)
	}
}

func TestString(t *testing.T) {
	for src, want := range map[string]string{
		`$A=="x"&&$B||!$C`:                 `$A == "x" && $B || !$C`,
		`(($A))`:                           `$A`,
		`($A || $B) && $C`:                 `($A || $B) && $C`,
		`($A && $B) || $C`:                 `$A && $B || $C`,
		`$A || ($B || $C)`:                 `$A || ($B || $C)`,
		`($A == $B) == $C`:                 `$A == $B == $C`,
		`$A == ($B =~ /ab/i)`:              `$A == ($B =~ /ab/i)`,
		`!($A == 'x') && !(!$B)`:           `!($A == "x") && !!$B`,
		`$A == 'say "x"' || "it's" != $B`:  `$A == 'say "x"' || "it's" != $B`,
		`$A !~ /a\/b/ || null == true`:     `$A !~ /a\/b/ || null == true`,
		"$A\n&&\n$B != false && (null)":    `$A && $B != false && null`,
		`("x" || $A =~ /x/) != ($B && $C)`: `("x" || $A =~ /x/) != ($B && $C)`,
	} {
		e, err := Parse(src)
		if err != nil {
			t.Errorf("Parse(%q): %v", src, err)
		} else if got := e.String(); got != want {
			t.Errorf("%q formats as %q, want %q", src, got, want)
		}
	}
}

func TestVariables(t *testing.T) {
	e, err := Parse(`$B == $A && !($C =~ $B) || "$D" == /$E/`)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := e.Variables(), []string{"B", "A", "C"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWarnings(t *testing.T) {
	tests := []struct {
		src     string
		offsets []int
		msg     string
	}{
		{`$A =~ /main/ && $B == "true" && $C =~ $D && $E =~ "/main/"`, nil, ""},
		{`$A =~ "main"`, []int{6}, "contains the left side"},
		{`$A !~ "/main/x"`, []int{6}, "right side of !~ is no pattern"},
		{`$A == true`, []int{6}, "never equals true"},
		{`false != $A && $B =~ "x"`, []int{0, 21}, "never equals false"},
		{`$A =~ /x/`, []int{6}, "one character"},
	}
	for _, tt := range tests {
		e, err := Parse(tt.src)
		if err != nil {
			t.Errorf("Parse(%q): %v", tt.src, err)
			continue
		}
		var offsets []int
		for _, w := range e.Warnings() {
			offsets = append(offsets, w.Offset)
		}
		if !slices.Equal(offsets, tt.offsets) {
			t.Errorf("%q: warnings at %v, want %v", tt.src, offsets, tt.offsets)
		} else if len(offsets) > 0 && !strings.Contains(e.Warnings()[0].Msg, tt.msg) {
			t.Errorf("%q: %q does not contain %q", tt.src, e.Warnings()[0].Msg, tt.msg)
		}
	}
}

func TestMatchPattern(t *testing.T) {
	tests := []struct {
		pattern, text string
		match, ok     bool
	}{
		{`/^feature\/.*$/`, "feature/x", true, true},
		{`/^FEATURE/i`, "feature", true, true},
		{`/b/`, "abc", true, true},
		{`/^b/`, "abc", false, true},
		{`//`, "abc", true, true},
		{`main`, "main", false, false},
		{`/main`, "main", false, false},
		{`/main/x`, "main", false, false},
		{`/(/`, "(", false, false},
		{"/\xff/", "\xff", false, false},
		{``, "", false, false},
		{`/`, "/", false, false},
	}
	m := match.New(match.Texts)
	for _, tt := range tests {
		if got, ok := MatchPattern(m, tt.pattern, tt.text); got != tt.match || ok != tt.ok {
			t.Errorf("MatchPattern(%q, %q) = %v, %v, want %v, %v", tt.pattern, tt.text, got, ok, tt.match, tt.ok)
		}
	}
}

// Once the budget is spent, an expression is no longer true for what it says.
func TestBudget(t *testing.T) {
	text := strings.Repeat("a", 100_000)
	for _, tt := range []struct{ src, b string }{
		{`$A =~ /(a+)+(a+)+$/`, ""}, {`$A =~ $B`, "/(a+)+(a+)+$/"}, {`$A =~ $B`, text + "x"}, {`$A =~ $B`, "/" + strings.Repeat("a{1000}", 100) + "/"},
	} {
		e, err := Parse(tt.src)
		if err != nil {
			t.Fatal(err)
		}
		m := match.New(10_000)
		if e.Eval(lookupIn(vars{"A": text, "B": tt.b}), m) || !m.Spent() {
			t.Errorf("%s with %.20q: not spent", tt.src, tt.b)
		}
	}
}

// FuzzParse: nothing panics, an error points into the source, and the canonical
// form parses to the same tree.
func FuzzParse(f *testing.F) {
	for _, src := range []string{
		`$A == "x" && $B == 'y' || !$C`, `($A || $B) && /a\/b/i`, `null != true`, `$A =~ /x/ && $B =~ /a//`,
		`$A =~ /a\// == "x/"`, `${A}`, `"x"y`, `(((`, "$A =~ /\xff\xff/", `$A == "`, `$[[ x`, `/[/ab/`,
	} {
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src string) {
		e, err := Parse(src)
		if err != nil {
			var bad *Error
			if !errors.As(err, &bad) {
				t.Fatalf("no *Error but %T", err)
			}
			if n := utf8.RuneCountInString(src); bad.Offset < 0 || bad.Len < 1 || bad.Offset > n || n > 0 && bad.Offset+bad.Len > n {
				t.Fatalf("%q has %d characters, error at %d+%d", src, n, bad.Offset, bad.Len)
			}
			return
		}
		canonical := e.String()
		again, err := Parse(canonical)
		if err != nil {
			t.Fatalf("%q became %q, which fails: %v", src, canonical, err)
		}
		if !sameTree(e.root, again.root) {
			t.Fatalf("%q became %q, which is another expression", src, canonical)
		}
		if s := again.String(); s != canonical {
			t.Fatalf("%q became %q, then %q", src, canonical, s)
		}
		lookup := func(name string) (string, bool) { return "/" + name, len(name)%2 == 0 }
		if m := match.New(match.Texts); e.Eval(lookup, m) != again.Eval(lookup, m) {
			t.Fatalf("%q and %q evaluate differently", src, canonical)
		}
		e.Warnings()
	})
}

// sameTree compares trees without their positions.
func sameTree(a, b node) bool {
	switch a := a.(type) {
	case *variable:
		b, ok := b.(*variable)
		return ok && a.name == b.name
	case *str:
		b, ok := b.(*str)
		return ok && a.value == b.value
	case *pattern:
		b, ok := b.(*pattern)
		return ok && a.text == b.text
	case *null:
		_, ok := b.(*null)
		return ok
	case *boolean:
		b, ok := b.(*boolean)
		return ok && a.value == b.value
	case *not:
		b, ok := b.(*not)
		return ok && sameTree(a.x, b.x)
	case *binary:
		b, ok := b.(*binary)
		return ok && a.op == b.op && sameTree(a.left, b.left) && sameTree(a.right, b.right)
	}
	return false
}

// BenchmarkParse: the cost of a byte must not grow with the length of the source.
func BenchmarkParse(b *testing.B) {
	for _, n := range []int{1 << 10, 1 << 14, 1 << 18} {
		src := `$A == "` + strings.Repeat("ä", n) + `" && $B =~ /` + strings.Repeat("a", n/100) + `/`
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				if _, err := Parse(src); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
