package systemd

import (
	"net"
	"path/filepath"
	"testing"
	"time"
)

func TestSystemdIsToldHowTheServiceIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	for want, tell := range map[string]func() error{
		"READY=1\nSTATUS=2 hosts":     func() error { return Ready("2 hosts") },
		"RELOADING=1":                 Reloading,
		"STOPPING=1\nSTATUS=1 tunnel": func() error { return Stopping("1 tunnel") },
		"STATUS=a b MAINPID=1":        func() error { return Status("a\tb\nMAINPID=1") },
		"WATCHDOG=1":                  Alive,
	} {
		if err := tell(); err != nil {
			t.Errorf("%q: %v", want, err)
			continue
		}
		buf := make([]byte, 1000)
		_ = l.SetReadDeadline(time.Now().Add(5 * time.Second))
		n, err := l.Read(buf)
		if got := string(buf[:n]); err != nil || got != want {
			t.Errorf("told %q, %v; want %q", got, err, want)
		}
	}
}

func TestWithoutSystemdNothingIsTold(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if err := Ready("1 host"); err != nil {
		t.Error(err)
	}
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "gone"))
	if err := Ready("1 host"); err == nil {
		t.Error("a socket that is not there is no error")
	}
}

func TestTheWatchdogsInterval(t *testing.T) {
	t.Setenv("WATCHDOG_PID", "")
	for text, want := range map[string]time.Duration{"": 0, "30000000": 30 * time.Second} {
		t.Setenv("WATCHDOG_USEC", text)
		if got, err := WatchdogInterval(); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	t.Setenv("WATCHDOG_USEC", "often")
	if _, err := WatchdogInterval(); err == nil {
		t.Error("an interval that is no number is no error")
	}
}
