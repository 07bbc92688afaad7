package config

import (
	"fmt"
	"strings"
)

// nearest returns the word that was probably meant: the nearest, unless more than half
// of it would have to change.
func nearest(name string, words []string) (word string, near bool) {
	least := 0
	for _, w := range words {
		most := len(w) / 2
		if len(name) > len(w)+most {
			continue // not near, and as long as the file may be
		}
		if d := distance(name, w); d <= most && (!near || d < least) {
			word, near, least = w, true, d
		}
	}
	return word, near
}

// suggest says which key was probably meant, or else which are known. The list is long,
// so it is told once for each level of the file.
func (r *reader) suggest(line int, name string, l level) string {
	words := names(l.known)
	if word, near := nearest(name, words); near {
		return "did you mean " + word + "?"
	}
	if before, told := r.told[l.move]; told {
		return fmt.Sprintf("known here are the keys that line %d names", before)
	}
	r.told[l.move] = line
	return "known here are " + strings.Join(words, ", ")
}

func names(keys []key) []string {
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = k.Name
	}
	return out
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
