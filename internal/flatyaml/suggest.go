package flatyaml

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Suggestion is "; did you mean X?" for the known word that is nearest to a mistyped one, or "" where
// none is near.
func Suggestion(word string, known []string) string {
	word = strings.ReplaceAll(strings.ToLower(word), "-", "_")
	best := slices.MinFunc(known, func(a, b string) int { return cmp.Compare(distance(word, a), distance(word, b)) })
	near := distance(word, best) <= max(1, len(best)/3)
	if !near {
		at := slices.IndexFunc(known, func(k string) bool { return len(word) >= 3 && strings.HasPrefix(k, word) })
		if at < 0 {
			return ""
		}
		best = known[at]
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// maxWord bounds the work of distance; no setting's name is nearly as long.
const maxWord = 64

// distance is how many letters must be put in, taken out, changed or swapped with the next one (the
// optimal string alignment distance).
func distance(a, b string) int {
	if len(a) > maxWord {
		return len(a)
	}
	var d [maxWord + 1][maxWord + 1]int
	for i := range len(a) + 1 {
		for j := range len(b) + 1 {
			if i == 0 || j == 0 {
				d[i][j] = i + j
				continue
			}
			change := d[i-1][j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			d[i][j] = min(change, d[i-1][j]+1, d[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}
