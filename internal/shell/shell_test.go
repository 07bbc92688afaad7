package shell

import (
	"os/exec"
	"strings"
	"testing"
)

// FuzzQuote asks sh itself: whatever a file is called, it is one word, and the same.
func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "a", "/etc/docker/certs.d/registry.example:5000", "it's", "a b", "$(id)", "`id`", "a\nb", "~", "*", "#x", "!", "a\\", "é", "\xff", "-n", "a;b", "%", "{a,b}", "^", "="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want := strings.ReplaceAll(s, "\x00", "")
		out, err := exec.Command("sh", "-c", "printf '%s.' "+Quote(s)).Output()
		if err != nil {
			t.Fatalf("sh refuses %q: %v", Quote(s), err)
		}
		if string(out) != want+"." {
			t.Errorf("sh reads %q as %q, want %q", Quote(s), out, want+".")
		}
	})
}

func TestWhatNeedsNoQuotesGetsNone(t *testing.T) {
	for s, want := range map[string]string{
		"/etc/docker/certs.d/registry.example:5000/client.key": "/etc/docker/certs.d/registry.example:5000/client.key",
		"a b": "'a b'", "it's": `'it'\''s'`, "": "''", "~": "'~'",
	} {
		if got := Quote(s); got != want {
			t.Errorf("Quote(%q) = %s, want %s", s, got, want)
		}
	}
}
