package check

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/certproxy/certproxy/internal/throwaway"
)

func TestAnAnswerIsShownWithoutItsSecrets(t *testing.T) {
	s := newScene(t, func(s *scene) {
		s.serve(func(w http.ResponseWriter, _ *http.Request) {
			h := w.Header()
			h.Set("Set-Cookie", "session=hunter2")
			h.Set("X-Auth-Token", "hunter2")
			h.Set("Location", "https://storage.example/blob?X-Amz-Signature=hunter2")
			h.Set("Link", `</v2/_catalog?last=hunter2>; rel="next", </x?y=hunter2>; rel="prev"`)
			h.Set("WWW-Authenticate", `Bearer realm="https://auth.example/token",service="registry.example"`)
			h.Set("Docker-Distribution-Api-Version", "registry/2.0")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, "see https://x.example/?sig=hunter2 \x1b[31m\r\n\x07 \u202egnp")
		})
	})
	r := s.check()
	s.wellFormed(r)
	got := strings.Join(append(r.Answer.Header, r.Answer.Body), "\n")
	for _, want := range []string{
		"Set-Cookie: (not shown)", "X-Auth-Token: (not shown)", "Location: https://storage.example/blob?...",
		`Link: </v2/_catalog?...>; rel="next", </x?...>; rel="prev"`,
		`Www-Authenticate: Bearer realm="https://auth.example/token",service="registry.example"`, "Docker-Distribution-Api-Version: registry/2.0",
		"see https://x.example/?... ?[31m ? ?gnp",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("not shown: %q in\n%s", want, got)
		}
	}
	if r.Findings[0].Level != Note || !strings.Contains(r.Findings[0].Text, "it asks for a user or a token next") {
		t.Errorf("%v", r.Findings[0])
	}
}

// Names in certificates are what their owner likes: none may move the cursor, or write a
// line that looks like ours.
func TestHostileNamesAreHarmless(t *testing.T) {
	const evil = "\x1b[2Jx\r\nok: all is well\u202e"
	s := newScene(t, func(s *scene) {
		s.server.TLS.Certificates = []tls.Certificate{s.pki.Issue(throwaway.Options{Name: evil, Hosts: []string{"registry.example"}}).TLS()}
		s.server.TLS.ClientCAs = throwaway.NewCA(evil).Pool()
	})
	r := s.check()
	s.wellFormed(r)
	var b strings.Builder
	if err := r.Print(&b, Style{}); err != nil {
		t.Fatal(err)
	}
	if bad := regexp.MustCompile("\x1b|\r|(?m:^ok: all)|\u202e").FindString(b.String()); bad != "" || !strings.Contains(b.String(), "all is well") {
		t.Errorf("%q is in\n%q", bad, b.String())
	}
	if r.OK {
		t.Error("the pair is of another CA, and it is ok")
	}
}

// Programs read the JSON: what a field is called, and where it is, is a promise. Values
// that differ from run to run are replaced.
func TestTheJSONKeepsItsShape(t *testing.T) {
	s := newScene(t, func(s *scene) {
		throwaway.NewCA("Other CA").Issue(throwaway.Options{Name: "bob"}).WritePair(s.dir, "b")
	})
	r := s.check()
	got, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(got), filepath.Dir(filepath.Dir(s.root)), "BASE")
	for _, p := range [][2]string{
		{regexp.QuoteMeta(s.proxy), "PROXY"}, {s.port(), "PORT"}, {`\d{4}-\d\d-\d\dT[0-9:]+Z`, "TIME"}, {`\d{4}-\d\d-\d\d \d\d:\d\d UTC`, "DATE"},
		{`"Date: [^"]+"`, `"Date: DATE"`},
	} {
		text = regexp.MustCompile(p[0]).ReplaceAllString(text, p[1])
	}
	const golden = "testdata/report.json"
	want, err := os.ReadFile(golden)
	if err != nil || text+"\n" != string(want) {
		if os.Getenv("UPDATE") != "" {
			if err := os.WriteFile(golden, []byte(text+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
		t.Errorf("the report is (%v; UPDATE=1 writes it)\n%s", err, text)
	}
}

func TestEveryAlertAgainstACertificateHasWords(t *testing.T) {
	for _, code := range []int{40, 42, 43, 44, 45, 46, 47, 48, 49, 51, 80, 116} {
		if alertWords(code, "CN=Corp CA") == "" {
			t.Errorf("alert %d has none", code)
		}
	}
	if words := alertWords(20, ""); words != "" {
		t.Errorf("alert 20 is not about a certificate, and has %q", words)
	}
}

func TestDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"registry", "registyr", 2}, {"registry", "registri", 1}, {"abc", "xabc", 1}, {"kitten", "sitting", 3}} {
		if got := distance(test.a, test.b); got != test.want {
			t.Errorf("distance(%q, %q) = %d, want %d", test.a, test.b, got, test.want)
		}
	}
}

func TestColoursAndMarksAreForATerminal(t *testing.T) {
	r := &Report{Findings: []Finding{{Level: Error, About: "x", Text: "is broken", Fix: "mend x\nand y", Advice: "soon"}, {Level: OK, About: "z", Text: "z is well"}}}
	for style, want := range map[Style]string{
		{}:                           "error: x: is broken\n  fix: mend x\n       and y\n  hint: soon\nok: z is well\n",
		{Marks: true}:                "✗ error: x: is broken\n  fix: mend x\n       and y\n  hint: soon\n✓ ok: z is well\n",
		{Marks: true, Colours: true}: "\x1b[31m✗ error:\x1b[0m x: is broken\n  fix: mend x\n       and y\n  hint: soon\n\x1b[32m✓ ok:\x1b[0m z is well\n",
	} {
		var b strings.Builder
		if err := r.Print(&b, style); err != nil || b.String() != want {
			t.Errorf("%+v: %q, want %q", style, b.String(), want)
		}
	}
}
