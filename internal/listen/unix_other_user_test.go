//go:build linux

package listen

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What a user finds who is not the one that was there before, as after a first start as root.
func TestUnixSocketOfAnotherUserTeaches(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("PREREQUISITE MISSING: a second user; run as root")
	}
	const nobody = 65534
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	binary := dir + "/listen.test"
	if err := os.WriteFile(binary, must(os.ReadFile(os.Args[0])), 0o755); err != nil {
		t.Fatal(err)
	}
	public := func(name string) string {
		path := filepath.Join(dir, name)
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o777|os.ModeSticky); err != nil {
			t.Fatal(err)
		}
		return path + "/a.sock"
	}
	dead := func(path string, mode os.FileMode) string {
		leaveDead(t, path)
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	locked := public("locked")
	write(t, locked+".lock", nil)
	alive := public("alive")
	open1(t, "unix:"+alive+",mode=0666", Options{})
	own := public("own")

	for text, want := range map[string]string{
		dir + "/a.sock":                 "permission denied in " + dir + "; let certproxy's user write there",
		dead(public("closed"), 0o600):   "the socket there is another user's, and whether it is in use cannot be told",
		dead(public("open"), 0o666):     "a dead process left a socket there, and certproxy's user may not remove it",
		locked:                          "a.sock.lock is another user's",
		alive:                           "a.sock.lock is another user's",
		own + ",group=54321":            "certproxy's user may not give a file to the group 54321; make it a member",
		own + ",mode=0666":              "",
		public("o") + ",group=65534":    "",
		public("o2") + ",group=1234567": "may not give a file to the group 1234567",
	} {
		p := startAs(t, binary, &syscall.Credential{Uid: nobody, Gid: nobody}, "unix:"+text)
		p.begin(t, time.Time{})
		got := p.says()
		switch {
		case want == "" && got != "listening":
			t.Errorf("%s: it says %s", text, got)
		case want != "" && (!strings.HasPrefix(got, "error: cannot listen on unix:"+text) || !strings.Contains(got, want)):
			t.Errorf("%s: it says %s, want %s", text, got, fmt.Sprintf("%q", want))
		}
		p.end(t)
	}
	isEmpty(t, own)
}
