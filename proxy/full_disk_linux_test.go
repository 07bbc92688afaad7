package proxy

import (
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
)

// When the disk is full the body still goes to the pair under way, whose answer
// stands, and the log says why.
func TestAFullDiskMakesTheAnswerFinal(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("a small file system cannot be mounted (%v): run as root", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	r := newRig(t, func(c *Config) { c.ReplayDir = dir })
	var got int64
	host := r.server(func(w http.ResponseWriter, req *http.Request) {
		got, _ = io.Copy(io.Discard, req.Body)
		if strings.HasSuffix(req.URL.Path, name(req)) {
			w.WriteHeader(http.StatusForbidden)
		}
	})
	r.list(host, "a", "b")
	const size = 8 << 20
	for _, test := range []struct {
		path string
		want int
	}{{"/a", 403}, {"/b", 200}} {
		if status, _ := r.upload(r.client(1), "PUT", host, test.path, io.LimitReader(zeros{}, size), size); status != test.want || got != size {
			t.Errorf("%s: %d, and %d of %d bytes arrived", test.path, status, got, size)
		}
		if tried := r.took(); len(tried) != 1 {
			t.Errorf("%s: attempts %v", test.path, tried)
		}
	}
	if reason := r.logged("no other pair is tried")["reason"]; !strings.Contains(reason.(string), "no space left on device") {
		t.Errorf("the log says %q", reason)
	}
}
