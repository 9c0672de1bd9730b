package config

import "strings"

// nearest returns the candidate most like what was written, or "" when none is
// close: one letter or a third of them wrong, or one the beginning of the other.
func nearest(written string, candidates []string) string {
	best, least := "", max(1, len(written)/3)+1
	for _, c := range candidates {
		d := distance(strings.ToLower(written), strings.ToLower(c))
		if short := min(len(written), len(c)); short > 3 && strings.EqualFold(written[:short], c[:short]) {
			d = min(d, 1)
		}
		if d < least {
			best, least = c, d
		}
	}
	return best
}

// distance counts the letters to insert, delete or replace (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
