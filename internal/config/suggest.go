package config

import (
	"slices"
	"strings"
)

// suggest says which key was probably meant: the nearest, unless more than half of
// the word would have to change.
func suggest(name string, known []key) string {
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = k.name
	}
	nearest := slices.MinFunc(names, func(a, b string) int { return distance(name, a) - distance(name, b) })
	if 2*distance(name, nearest) > len(nearest) {
		return "known here are " + strings.Join(names, ", ")
	}
	return "did you mean " + nearest + "?"
}

// distance counts the letters to insert, delete or replace that make one word the
// other (Levenshtein), whatever their case.
func distance(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	row := make([]int, len(b)+1) // from the letters of a so far to each beginning of b
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
