package architecture

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
)

// docs/security.md says which test holds each of its claims: a test that is gone or
// renamed holds nothing.
func TestClaimsOfSecurityAreHeldByTestsThatExist(t *testing.T) {
	page, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(string(page), -1)
	if len(named) < 20 {
		t.Fatalf("the page names %d tests", len(named))
	}
	have := make(map[string]bool)
	declaration := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	top := os.DirFS("../..")
	err = fs.WalkDir(top, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := fs.ReadFile(top, path)
		for _, m := range declaration.FindAllSubmatch(text, -1) {
			have[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range named {
		if !have[m[1]] {
			t.Errorf("docs/security.md names %s, which there is not", m[1])
		}
	}
}
