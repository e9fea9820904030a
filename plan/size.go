package plan

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// sizeUnits are powers of 1024, as Docker and GitLab's runner read them.
var sizeUnits = []string{"", "k", "m", "g", "t"}

// ParseSize reads a size in bytes: a decimal number, with k, m, g or t for
// powers of 1024, perhaps followed by b or ib: 512m, 1.5GiB, 1048576. It must be
// at least one byte.
func ParseSize(s string) (int64, error) {
	text := strings.ToLower(strings.TrimSpace(s))
	number := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyz")
	unit := text[len(number):]
	for power, name := range sizeUnits {
		if unit != name && unit != name+"b" && (name == "" || unit != name+"ib") {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		n *= math.Pow(1024, float64(power))
		if err != nil || strings.Trim(number, "0123456789. ") != "" || n < 1 || n >= math.MaxInt64 {
			break
		}
		return int64(n), nil
	}
	return 0, fmt.Errorf("%s is no size such as 512m or 2g", quote(s))
}
