// Package shell writes words for a POSIX shell, so that what certproxy advises can be
// pasted whatever a file is called.
package shell

import "strings"

const safe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._:-+,@%"

// Quote returns a text that a POSIX shell reads as one word, which is s (IEEE Std
// 1003.1, section 2.2.2). What needs no quotes gets none. A NUL, which no argument can
// hold, is left out.
func Quote(s string) string {
	s = strings.ReplaceAll(s, "\x00", "")
	if s != "" && strings.Trim(s, safe) == "" && !strings.HasPrefix(s, "-") {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
