package pipeline

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Lengths in seconds (specification 26). A month has 30 days, a year 365.25.
const (
	minute = 60
	hour   = 60 * minute
	day    = 24 * hour
	week   = 7 * day
	month  = 30 * day
	year   = 31_557_600
)

// maxDurationLen bounds the text of a duration, in bytes.
const maxDurationLen = 100

// units are the words for a unit of time.
var units = map[string]int64{
	"s": 1, "sec": 1, "secs": 1, "second": 1, "seconds": 1,
	"m": minute, "min": minute, "mins": minute, "minute": minute, "minutes": minute,
	"h": hour, "hr": hour, "hrs": hour, "hour": hour, "hours": hour,
	"d": day, "dy": day, "day": day, "days": day,
	"w": week, "wk": week, "wks": week, "week": week, "weeks": week,
	"mo": month, "mos": month, "month": month, "months": month,
	"y": year, "yr": year, "yrs": year, "year": year, "years": year,
}

// colonUnits are the units of the fields of 1:30:00, from the right.
var colonUnits = []int64{1, minute, hour, day, month, year}

// numerals are the words for a number. Tens add to the numeral behind them:
// twenty five.
var numerals = map[string]int64{
	"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
	"nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15,
	"sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19,
	"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}

// joiners mean nothing.
var joiners = map[string]bool{"and": true, "with": true, "plus": true}

// ParseDuration returns the length of a duration in whole seconds, fractions
// dropped (specification 26).
func ParseDuration(s string) (int64, error) {
	if len(s) > maxDurationLen {
		return 0, fmt.Errorf("%d characters are too many", utf8.RuneCountInString(s))
	}
	s = strings.ToLower(strings.TrimSpace(s))
	var total *big.Rat
	var err error
	if strings.Contains(s, ":") {
		total, err = parseColons(s)
	} else {
		total, err = parseWords(s)
	}
	if err != nil {
		return 0, err
	}
	seconds := new(big.Int).Quo(total.Num(), total.Denom())
	if !seconds.IsInt64() {
		return 0, fmt.Errorf("%q is too long", s)
	}
	return seconds.Int64(), nil
}

// parseColons adds the fields of seconds, M:S, H:M:S up to Y:Mo:D:H:M:S.
func parseColons(s string) (*big.Rat, error) {
	fields := strings.Split(s, ":")
	if len(fields) > len(colonUnits) {
		return nil, fmt.Errorf("%q has more than %d fields", s, len(colonUnits))
	}
	total := new(big.Rat)
	for i, field := range fields {
		n, rest := cutNumber(field)
		if n == nil || rest != "" {
			return nil, fmt.Errorf("%q is not a number", field)
		}
		unit := colonUnits[len(fields)-1-i]
		total.Add(total, n.Mul(n, new(big.Rat).SetInt64(unit)))
	}
	return total, nil
}

// term is the number whose unit has not been read yet.
type term struct {
	number *big.Rat
	// tens: a numeral from one to nine still adds to it.
	tens bool
}

// parseWords adds the terms of a text such as 3h 30m, one hour, 42.
func parseWords(s string) (*big.Rat, error) {
	total := new(big.Rat)
	var open term
	// A number without a unit counts as seconds.
	flush := func(unit int64) {
		if open.number != nil {
			total.Add(total, open.number.Mul(open.number, new(big.Rat).SetInt64(unit)))
		}
		open = term{}
	}
	first := true
	const separators = " \t\n,"
	for s = strings.TrimLeft(s, separators); s != ""; s = strings.TrimLeft(s, separators) {
		if n, rest := cutNumber(s); n != nil {
			flush(1)
			open, s, first = term{number: n}, rest, false
			continue
		}
		word, rest := cutWord(s)
		if word == "" {
			r, _ := utf8.DecodeRuneInString(s)
			return nil, fmt.Errorf("%s is not allowed", strconv.QuoteRune(r))
		}
		s = rest
		numeral, isNumeral := numerals[word]
		unit, isUnit := units[word]
		switch {
		case joiners[word]:
			continue
		case isNumeral && open.tens && numeral < 10:
			open.number.Add(open.number, new(big.Rat).SetInt64(numeral))
			open.tens = false
		case isNumeral:
			flush(1)
			open = term{number: new(big.Rat).SetInt64(numeral), tens: numeral >= 20}
			s = strings.TrimPrefix(s, "-") // twenty-five
		case isUnit && (open.number != nil || first):
			if open.number == nil { // a leading unit means one of it
				open.number = new(big.Rat).SetInt64(1)
			}
			flush(unit)
		case isUnit:
			return nil, fmt.Errorf("%q has no number", word)
		default:
			return nil, fmt.Errorf("%q is no unit of time", word)
		}
		first = false
	}
	if first {
		return nil, fmt.Errorf("it is empty")
	}
	flush(1)
	return total, nil
}

// cutNumber cuts a number such as 3, 1.5 or .5 off the front of s; nil if there
// is none.
func cutNumber(s string) (*big.Rat, string) {
	digits := func(i int) int {
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		return i
	}
	end := digits(0)
	if end < len(s) && s[end] == '.' {
		if after := digits(end + 1); after > end+1 {
			end = after
		}
	}
	n, ok := new(big.Rat).SetString(s[:end])
	if !ok {
		return nil, s
	}
	return n, s[end:]
}

// cutWord cuts a word of letters off the front of s.
func cutWord(s string) (word, rest string) {
	end := strings.IndexFunc(s, func(r rune) bool { return r < 'a' || r > 'z' })
	if end < 0 {
		end = len(s)
	}
	return s[:end], s[end:]
}
