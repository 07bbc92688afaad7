package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const top = "../.."

// A dependency that is new, updated or gone shows here.
func TestNoticesAreThoseOfTheCode(t *testing.T) {
	modules, err := linked(top)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{textsFile: texts(modules), listFile: list(modules)} {
		got, err := os.ReadFile(filepath.Join(top, name))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s is not what the code has; go run -C packaging ./notices -top .. writes it again", name)
		}
	}
}

func TestTheTextsAreWhole(t *testing.T) {
	m := []module{
		{path: "example.com/a", version: "v1.0.0", licence: "MIT", files: []notice{{"LICENSE", "every word of it\n"}}},
		{path: "example.com/b", version: "v2.0.0", licence: "MPL-2.0", files: []notice{{"LICENSE", "and of this"}, {"NOTICE", "this too"}}},
	}
	got := texts(m)
	for _, want := range []string{"example.com/a v1.0.0: LICENSE\n", "\nevery word of it\n", "\nand of this\n", "\nthis too\n", "https://proxy.golang.org/example.com/b/@v/v2.0.0.zip"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
}

// Licences whose terms the notices fulfil. Another one has to be read by somebody first.
func TestEveryLicenceIsOneThatNoticesFulfil(t *testing.T) {
	allowed := map[string]bool{"Apache-2.0": true, "BSD-2-Clause": true, "BSD-3-Clause": true, "MIT": true, "MPL-2.0": true}
	modules, err := linked(top)
	if err != nil {
		t.Fatal(err)
	}
	if len(modules) < 15 {
		t.Errorf("%d modules: the product has more", len(modules))
	}
	for _, m := range modules {
		for id := range strings.SplitSeq(m.licence, " AND ") {
			if !allowed[id] {
				t.Errorf("%s is under %s; see whether that can be linked and what it asks for", m.path, id)
			}
		}
	}
}

func TestALicenceThatIsNotKnownIsAnError(t *testing.T) {
	m := &module{path: "example.com/odd", version: "v1.0.0", files: []notice{{"LICENSE", "Ask me nicely."}}}
	if err := m.classify(); err == nil || !strings.Contains(err.Error(), "example.com/odd") {
		t.Errorf("error %v", err)
	}
}
