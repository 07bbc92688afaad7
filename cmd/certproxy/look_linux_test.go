package main

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// asNobody runs f with the file access of a user who owns nothing.
func asNobody(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlock: the thread ends here
		_, _, _ = syscall.RawSyscall(syscall.SYS_SETFSUID, 65534, 0, 0)
		f()
	}()
	<-done
}

// The service's configuration may hold a password and be its user's alone. That is no
// reason for others not to list what is in certs.d.
func TestADefaultFileOfAnotherUserIsNoReasonNotToList(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(path, []byte("certs: [elsewhere]\n"), 0); err != nil {
		t.Fatal(err)
	}
	s := sources{file: configFile{path: path, optional: true, named: "--config"}, environ: []string{"CERTPROXY_STATE=/s"}}
	asNobody(func() {
		var warned bytes.Buffer
		o, err := s.look(&warned, "certs", "state")
		if err != nil || len(o.Certs) != 0 || o.State != "/s" || !strings.Contains(warned.String(), path+" cannot be read by this user") {
			t.Errorf("look = %+v, %v, and warns %q", o.Config, err, warned.String())
		}
		warned.Reset()
		if _, err := s.look(&warned, "state"); err != nil || warned.Len() > 0 {
			t.Errorf("a file that is not needed: %v, and warns %q", err, warned.String())
		}
		// serve would be another one without it.
		if _, err := s.plan(nil, nil); err == nil || !strings.Contains(err.Error(), path+": permission denied; make it readable for uid") {
			t.Errorf("plan: %v", err)
		}
		s.file.optional = false
		if _, err := s.look(&warned, "certs"); err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("a file that is named: %v", err)
		}
	})
}
