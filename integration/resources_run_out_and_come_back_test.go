package integration

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/certproxy/certproxy/integration/rig"
)

// Not parallel: it looks at the clock.
//
// Clients take all descriptors that certproxy may have. Connections that are there go on
// serving, what is answered is right, and as soon as the clients go it is as before.
func TestNoDescriptorsLeftIsSurvived(t *testing.T) {
	const limit = 120
	f := newFaultField(t, "header_timeout: 20s\nidle_timeout: 1m\n", "prlimit", fmt.Sprintf("--nofile=%d:%d", limit, limit))
	host := f.faulty.Host()
	kept, err := f.proxy.Secure(host, &tls.Config{RootCAs: f.proxy.Roots(t), NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	if err := askOnce(kept, host); err != nil {
		t.Fatal(err)
	}
	before := f.proxy.Holds(t)
	f.vigil.Look()
	greedy := make([]net.Conn, 2*limit)
	leave := closeAll(t, greedy)
	for i := range greedy {
		if greedy[i], err = f.proxy.Dial(); err != nil {
			t.Fatal(err) // the kernel takes what certproxy does not
		}
	}
	f.proxy.WaitLine(t, "a connection cannot be accepted", func(rig.Line) bool { return true })
	for range 100 {
		if err := askOnce(kept, host); err != nil {
			t.Errorf("a connection that was there: %v", err)
			break
		}
	}
	<-time.After(time.Second)
	leave()
	took := rig.Eventually(t, "new clients are served again", func() bool {
		r := rig.Ask(f.proxy.Client(t), host, f.faulty.Pair, rig.Question{Down: 100})
		return r.Failed+r.Wrong == ""
	})
	s := f.vigil.Look()
	t.Logf("served again %v after they left; other hosts meanwhile: %v", took.Round(time.Millisecond), s)
	if len(s.Wrong) > 0 {
		t.Errorf("answered wrongly: %q", s.Wrong)
	}
	f.vigil.During(t, func() {})
	f.proxy.Settles(t, before)
}

// A full disk, and one that cannot be written, keep a certproxy without a CA from
// starting, with the reason and without half a CA. One that has its CA serves.
func TestAFullOrReadOnlyStateIsExplainedAndLeavesNoHalfCA(t *testing.T) {
	t.Parallel()
	s := rig.ServeHonest(t, name)
	certs := rig.Dir(t)
	s.HostDir(certs, s.Host(), s.Good)
	dir := rig.Dir(t)
	state := filepath.Join(dir, "state")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	rig.MountSmall(t, state, 16<<10)
	full := filepath.Join(state, "full")
	fill(t, full)
	start := func() rig.Result {
		return rig.Run(t, rig.Command{Args: []string{rig.Binary(t), "serve", "--certs", certs, "--state", state, "--listen", "127.0.0.1:0", "--admin", "off", "--log-format", "json"}})
	}
	if got := start(); got.Exit != 1 || !strings.Contains(got.Stderr, "no space left on device") || !strings.Contains(got.Stderr, state) {
		t.Errorf("on a full disk: exit status %d, %s", got.Exit, got.Stderr)
	}
	remount := func(flags uintptr) {
		if err := syscall.Mount("tmpfs", state, "tmpfs", syscall.MS_REMOUNT|flags, ""); err != nil {
			t.Fatal(err)
		}
	}
	remount(syscall.MS_RDONLY)
	if got := start(); got.Exit != 1 || !strings.Contains(got.Stderr, "read-only file system") || !strings.Contains(got.Stderr, state) {
		t.Errorf("read-only: exit status %d, %s", got.Exit, got.Stderr)
	}
	remount(0)
	if err := os.Remove(full); err != nil {
		t.Fatal(err)
	}

	// There is room: it makes its CA. Then neither matters any more.
	first := rig.Serve(t, rig.Options{Certs: certs, Names: []string{name}, State: state})
	fill(t, full)
	if r := rig.Ask(first.Client(t), s.Host(), s.Pair, rig.Question{Down: 1000, Up: 1000}); r.Failed+r.Wrong != "" {
		t.Errorf("while the disk is full: %s%s", r.Failed, r.Wrong)
	}
	first.Stop(t)
	remount(syscall.MS_RDONLY)
	second := rig.Serve(t, rig.Options{Certs: certs, Names: []string{name}, State: state})
	if r := rig.Ask(second.Client(t), s.Host(), s.Pair, rig.Question{Down: 1000, Up: 1000}); r.Failed+r.Wrong != "" {
		t.Errorf("with a full and read-only state: %s%s", r.Failed, r.Wrong)
	}
	remount(0)
}

// fill takes all the room there is on a file system.
func fill(t *testing.T, path string) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for {
		if _, err := file.Write(make([]byte, 1024)); errors.Is(err, syscall.ENOSPC) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// A disk that is full of bodies keeps no request from its host: the pair that is under
// way gets the whole body, and what it is answered stands. proxy's own test of a full disk
// has the bytes that the host got.
func TestADiskFullOfBodiesMakesAnswersFinal(t *testing.T) {
	t.Parallel()
	id := rig.NewIdentities(t, name)
	s := rig.RefusalNamed(t, "403 after reading the body").Start(t, id, http.HandlerFunc(rig.Honestly))
	certs, tmp := rig.Dir(t), rig.Dir(t)
	id.HostDir(certs, hostOf(s.Server), id.Wrong, id.Good)
	rig.MountSmall(t, tmp, 4<<20)
	proxy := rig.Serve(t, rig.Options{Certs: certs, Names: []string{name}, Under: []string{"env", "TMPDIR=" + tmp}, Config: "pair_memory: 0\n"})
	client := proxy.Client(t)
	var whole, refused atomic.Int64
	for _, bad := range storm(64, func(i int) error {
		r := rig.Ask(client, hostOf(s.Server), "good", rig.Question{Seed: uint64(i), Up: 3<<20 + i})
		switch {
		case r.Failed+r.Wrong == "":
			whole.Add(1)
		case strings.HasPrefix(r.Failed, "403"):
			refused.Add(1)
		default:
			return errors.New(r.Failed + r.Wrong)
		}
		return nil
	}) {
		t.Error(bad)
	}
	t.Logf("of 64 uploads %d were sent again and accepted, for %d there was no room and the first pair's 403 stood", whole.Load(), refused.Load())
	if refused.Load() == 0 {
		t.Error("the disk was never full")
	}
	proxy.WaitLine(t, "no other pair is tried", func(l rig.Line) bool {
		return strings.Contains(l.Text("reason"), "no space left on device")
	})
	if entries, err := os.ReadDir(tmp); err != nil || len(entries) > 0 {
		t.Errorf("files are left: %v, %v", entries, err)
	}
}

// Not parallel: it looks at memory.
//
// 200 uploads at once, each of which is kept until the second pair is accepted, under a
// limit of memory that is less than all of it: each arrives whole, under the right pair.
func TestTwoHundredUploadsUnderAMemoryLimit(t *testing.T) {
	const uploads, size, limit = 200, 2 << 20, 96 << 20
	id := rig.NewIdentities(t, name)
	s := rig.RefusalNamed(t, "403 after reading the body").Start(t, id, http.HandlerFunc(rig.Honestly))
	certs := rig.Dir(t)
	id.HostDir(certs, hostOf(s.Server), id.Wrong, id.Good)
	proxy := rig.Serve(t, rig.Options{Certs: certs, Names: []string{name}, Level: "info", Config: "pair_memory: 0\nhandshake_timeout: 1m\n", // a busy machine shakes hands slowly
		Under: []string{"env", "GOMEMLIMIT=" + strconv.Itoa(limit)}})
	client := proxy.Client(t)
	began := time.Now()
	var all sync.WaitGroup
	for i := range uploads {
		all.Go(func() {
			r := rig.Ask(client, hostOf(s.Server), "good", rig.Question{Seed: uint64(i), Up: size, Down: 1000})
			if r.Failed+r.Wrong != "" {
				t.Errorf("upload %d: %s%s", i, r.Failed, r.Wrong)
			}
		})
	}
	all.Wait()
	peak := peakOf(t, proxy.PID())
	t.Logf("%d uploads of %d MiB in %v, limit %d MiB, %d attempts refused: certproxy had at most %.0f MiB", uploads, size>>20,
		time.Since(began).Round(time.Millisecond), limit>>20, s.Refused.Load(), float64(peak)/(1<<20))
	if s.Refused.Load() < uploads {
		t.Errorf("%d attempts were refused; want one of each upload", s.Refused.Load())
	}
	// The limit is of what Go's runtime manages: the pages of the binary come on top.
	if most := limit + 24<<20; peak > most && !raceDetected(t) {
		t.Errorf("certproxy had %d bytes; want at most %d", peak, most)
	}
}

// peakOf is the most memory that a process ever had.
func peakOf(t *testing.T, pid int) int {
	t.Helper()
	for line := range strings.Lines(string(rig.Read(t, fmt.Sprintf("/proc/%d/status", pid)))) {
		var kib int
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kib); err == nil {
			return kib << 10
		}
	}
	t.Fatal("no VmHWM in /proc/PID/status")
	return 0
}
