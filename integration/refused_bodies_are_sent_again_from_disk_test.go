package integration

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
)

// Beside nothing else: it moves gigabytes.
//
// A server that reads all of a body before it says 403 makes it necessary to send
// the body again. certproxy has kept it, on disk, so that its memory stays flat,
// in a file without a name that is gone afterwards.
func TestRefusedBodiesAreSentAgainFromDisk(t *testing.T) {
	s := refusesAfterReading(t)
	proxy := patternProxy(t, s.Server, s.Expired, s.Wrong, s.Good)
	sendPattern(t, proxy, s.Server, 256<<20, false)
	if n := s.Refused.Load(); n != 2 {
		t.Errorf("the server refused the body %d times; want 2", n)
	}
	staysFlat(t, proxy)
	keepsNoBody(t, proxy)
}

// Beside nothing else: it moves gigabytes.
//
// Of a body that is too large to be kept, the refusal is the answer, and the log
// says why no other pair was tried.
func TestRefusalOfABodyTooLargeToKeepIsTheAnswer(t *testing.T) {
	const size = 1<<30 + 1<<20 // 1 GiB is kept
	s := refusesAfterReading(t)
	proxy := patternProxy(t, s.Server, s.Wrong, s.Good)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "https://"+hostOf(s.Server)+"/", newPattern(size))
	if err != nil {
		t.Fatal(err)
	}
	request.ContentLength = size
	answer := overPattern(t, proxy, request)
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusForbidden || s.Refused.Load() != 1 {
		t.Errorf("answered %s after %d refusals; want the only 403", answer.Status, s.Refused.Load())
	}
	proxy.WaitLine(t, "no other pair is tried", func(l rig.Line) bool {
		return l.Text("host") == hostOf(s.Server) && l.Text("pair") == "a" && l.Text("reason") != ""
	})
	staysFlat(t, proxy)
	keepsNoBody(t, proxy)
}

// refusesAfterReading is the server that reads the body of bad pairs and answers 403.
func refusesAfterReading(t *testing.T) *rig.Refusing {
	t.Helper()
	for _, r := range rig.Refusals() {
		if r.Name == "403 after reading the body" {
			return r.Start(t, rig.NewIdentities(t, name), http.HandlerFunc(servePattern))
		}
	}
	t.Fatal("no such server")
	return nil
}

// keepsNoBody looks for files that the process still has, or has left.
func keepsNoBody(t *testing.T, proxy *rig.Certproxy) {
	t.Helper()
	rig.Eventually(t, "certproxy closes the files that it deleted", func() bool {
		open, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", proxy.PID()))
		if err != nil {
			t.Fatal(err)
		}
		for _, fd := range open {
			if target, err := os.Readlink(fd); err == nil && strings.HasSuffix(target, "(deleted)") {
				return false
			}
		}
		return true
	})
	err := filepath.WalkDir(filepath.Dir(proxy.CAFile), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() > 1<<20 {
			t.Errorf("certproxy left %s of %d bytes", path, info.Size())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
