package syntax

// Suggest returns the candidate nearest to name by edit distance, or "" if none
// is near enough (distance 2, or 1 for names below 4 characters) or two are
// equally near. Exchanging two neighbours is one edit; name itself is no candidate,
// and a single character is near to nothing.
func Suggest(name string, candidates []string) string {
	limit := 2
	word := []rune(name)
	switch {
	case len(word) < 2:
		return ""
	case len(word) < 4:
		limit = 1
	}
	best, nearest, tie := "", limit+1, false
	for _, c := range candidates {
		if c == name || c == best || len(c) > len(name)+4*limit || len(name) > len(c)+4*limit {
			continue
		}
		switch d := editDistance(word, []rune(c), limit); {
		case d < nearest:
			best, nearest, tie = c, d, false
		case d == nearest:
			tie = true
		}
	}
	if tie || nearest > limit {
		return ""
	}
	return best
}

// editDistance returns the number of insertions, deletions, replacements and
// exchanges of neighbours that turn a into b, or limit+1 if there are more than
// limit: then only a band around the diagonal of the table is needed.
func editDistance(a, b []rune, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit {
		return limit + 1
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := range row {
			row[j] = limit + 1
		}
		if i <= limit {
			row[0] = i
		}
		for j := max(1, i-limit); j <= min(len(b), i+limit); j++ {
			d := last[j-1]
			if a[i-1] != b[j-1] {
				d = min(d, last[j], row[j-1]) + 1
			}
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, before[j-2]+1)
			}
			row[j] = d
		}
		before, last, row = last, row, before
	}
	return min(last[len(b)], limit+1)
}
