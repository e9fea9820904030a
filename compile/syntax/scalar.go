package syntax

import (
	"math/big"
	"regexp"
	"strings"
)

// The forms of plain scalars of YAML 1.1 as Ruby's Psych reads them, GitLab's
// loader (specification, section 2). They are tried in the order of resolvePlain.
var (
	dateForm    = regexp.MustCompile(`^\d{4}-(?:1[012]|0\d|\d)-(?:[12]\d|3[01]|0\d|\d)$`)
	timeForm    = regexp.MustCompile(`^-?\d{4}-\d{1,2}-\d{1,2}(?:[Tt]|\s+)\d{1,2}:\d\d:\d\d(?:\.\d*)?(?:\s*(?:Z|[-+]\d{1,2}:?(?:\d\d)?))?$`)
	base60Form  = regexp.MustCompile(`^[-+]?\d[\d_]*(?::[0-5]?\d){1,2}$`)
	base60Float = regexp.MustCompile(`^[-+]?\d[\d_]*(?::[0-5]?\d){1,2}\.[\d_]*$`)
	floatForm   = regexp.MustCompile(`^[-+]?(?:(?:\d[\d_,]*)?\.\d+(?:[eE][-+]?\d+)?|\d[\d_,]*\.?(?:[eE][-+]?\d+)?)$`)
	intForm     = regexp.MustCompile(`^[-+]?(?:0b[01_,]+|0[0-7_,]*|[1-9](?:\d|[,_]\d)*|0x[\da-fA-F_,]+)$`)
)

var words = map[string]struct {
	kind  Kind
	value string
}{}

func init() {
	for _, w := range []struct {
		kind  Kind
		value string
		forms []string
	}{
		{Bool, "true", []string{"yes", "true", "on"}},
		{Bool, "false", []string{"no", "false", "off"}},
		{Null, "", []string{"null", "~", ""}},
		{Float, "", []string{".inf", "+.inf", "-.inf", ".nan"}},
	} {
		for _, lower := range w.forms {
			forms := []string{lower, strings.ToUpper(lower)}
			for i, r := range lower {
				if r >= 'a' {
					forms = append(forms, lower[:i]+strings.ToUpper(lower[i:i+1])+lower[i+1:])
					break
				}
			}
			for _, form := range forms {
				value := w.value
				if w.kind == Float {
					value = form
				}
				words[form] = struct {
					kind  Kind
					value string
				}{w.kind, value}
			}
		}
	}
}

// maxNumber is the length from which text is a string, whatever its form.
const maxNumber = 200

// resolvePlain returns the type and the value of a plain scalar. date tells that
// it is a date or a time, which the safe loader refuses.
func resolvePlain(text string) (kind Kind, value string, date bool) {
	if w, ok := words[text]; ok {
		return w.kind, w.value, false
	}
	if text[0] == ':' && len(text) > 1 {
		return String, strings.Trim(text[1:], `"'`), false // a symbol
	}
	if len(text) > maxNumber || !strings.ContainsAny(text[:1], "0123456789+-.") {
		return String, text, false
	}
	switch {
	case isDecimal(text):
		return Int, text, false
	case dateForm.MatchString(text), timeForm.MatchString(text):
		return String, text, true
	case base60Form.MatchString(text):
		return Int, base60(text), false
	case base60Float.MatchString(text):
		return Float, text, false
	case intForm.MatchString(text):
		if value, ok := integer(text); ok {
			return Int, value, false
		}
	case floatForm.MatchString(text) && strings.ContainsAny(text, ".eE"):
		// Without point or exponent it would be 08, which is no octal: a string.
		return Float, text, false
	}
	return String, text, false
}

// isDecimal reports whether text is a number as it is printed, which most are.
func isDecimal(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return text == "0" || text[0] != '0'
}

// integer returns the decimal digits of a number in intForm.
func integer(text string) (string, bool) {
	sign := ""
	if text[0] == '-' || text[0] == '+' {
		sign = strings.TrimPrefix(text[:1], "+")
		text = text[1:]
	}
	digits := strings.NewReplacer("_", "", ",", "").Replace(text)
	base := 10
	switch {
	case strings.HasPrefix(digits, "0x"):
		digits, base = digits[2:], 16
	case strings.HasPrefix(digits, "0b"):
		digits, base = digits[2:], 2
	case digits[0] == '0':
		base = 8
	}
	n, ok := new(big.Int).SetString(sign+digits, base)
	if !ok {
		return "", false
	}
	return n.String(), true
}

// base60 returns the value of a number in base60Form. Psych counts the first of
// two parts as hours, not as minutes: 1:30 is 5400.
func base60(text string) string {
	sum := new(big.Int)
	for i, part := range strings.Split(strings.ReplaceAll(text, "_", ""), ":") {
		n, _ := new(big.Int).SetString(strings.TrimPrefix(part, "+"), 10) // digits only: cannot fail
		sum.Add(sum, n.Mul(n, big.NewInt([]int64{3600, 60, 1}[i])))
	}
	return sum.String()
}
