//go:build linux

package listen

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// At no moment, from that of its making, may others connect than its mode says, nor those of
// a group that is not the one named.
func TestUnixSocketIsNeverWider(t *testing.T) {
	gid := aGroup(t)
	for options, allowed := range map[string]struct{ others, own, group fs.FileMode }{
		"":                                      {0o600, 0o600, 0o600},
		",mode=0222":                            {0o222, 0o222, 0o222},
		fmt.Sprintf(",mode=0660,group=%d", gid): {0o660, 0o600, 0o660},
	} {
		for _, mask := range []int{0, 0o022} {
			t.Run(fmt.Sprintf("umask %03o%s", mask, strings.ReplaceAll(options, ",", " ")), func(t *testing.T) {
				withUmask(t, mask)
				path := t.TempDir() + "/a.sock"
				spec := mustParse(t, "unix:"+path+options)
				stop, looked := make(chan struct{}), make(chan int)
				go func() {
					seen := 0
					defer func() { looked <- seen }()
					for {
						select {
						case <-stop:
							return
						default:
						}
						info, err := os.Lstat(path)
						if err != nil {
							continue
						}
						seen++
						most := allowed.own
						if int(info.Sys().(*syscall.Stat_t).Gid) == gid {
							most = allowed.group
						}
						if wider := info.Mode().Perm() &^ most; wider != 0 {
							t.Errorf("it had the mode %04o", info.Mode().Perm())
							return
						}
					}
				}()
				for range 300 {
					ls, err := Open(t.Context(), []Spec{spec}, Options{})
					if err != nil {
						t.Error(err)
						break
					}
					ls[0].Close()
				}
				close(stop)
				t.Logf("seen %d times", <-looked)
			})
		}
	}
}

// Whoever can connect finds a socket that has its mode and its group: before, nobody can.
func TestUnixSocketIsConnectedToOnlyWhenItIsFinished(t *testing.T) {
	gid := aGroup(t)
	withUmask(t, 0o077)
	path := t.TempDir() + "/a.sock"
	spec := mustParse(t, fmt.Sprintf("unix:%s,group=%d", path, gid))
	stop, ended := make(chan struct{}), make(chan int)
	go func() {
		connected, early := 0, 0
		defer func() {
			// Once can be an accident: a file of the same inode, made since.
			if early > 1 {
				t.Errorf("%d of %d times connected before it had its mode and group", early, connected)
			}
			ended <- connected
		}()
		for {
			select {
			case <-stop:
				return
			default:
			}
			c, err := net.Dial("unix", path)
			if err != nil {
				continue
			}
			info, err := os.Lstat(path)
			c.Close()
			if err != nil {
				continue // closed since
			}
			connected++
			if st := info.Sys().(*syscall.Stat_t); int(st.Gid) != gid || info.Mode().Perm() != 0o660 {
				// The listener after that one may be in the making: then this one is gone.
				if again, err := net.Dial("unix", path); err == nil {
					again.Close()
					if now, err := os.Lstat(path); err == nil && os.SameFile(info, now) && now.Mode() == info.Mode() {
						early++
					}
				}
			}
		}
	}()
	for range 300 {
		ls, err := Open(t.Context(), []Spec{spec}, Options{})
		if err != nil {
			t.Error(err)
			break
		}
		ls[0].Close()
	}
	close(stop)
	t.Logf("connected %d times", <-ended)
}

func TestUnixSocketOfAKilledProcessIsReplaced(t *testing.T) {
	path := t.TempDir() + "/a.sock"
	for range 3 {
		p := start(t, "unix:"+path)
		p.begin(t, time.Time{})
		if got := p.says(); got != "listening" {
			t.Fatal(got)
		}
		refused(t, "unix:"+path, Options{}, fmt.Sprintf("in use; it is process %d's", p.cmd.Process.Pid))
		if got := answers(t, path); got != p.cmd.Process.Pid {
			t.Fatalf("process %d answers, want %d", got, p.cmd.Process.Pid)
		}
		p.kill()
		access(t, path) // it is still there
		if _, err := net.Dial("unix", path); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("the dead one's socket: %v", err)
		}
	}
	l := open1(t, "unix:"+path, Options{})
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	isEmpty(t, path)
}

// A stopped process is not a dead one.
func TestUnixSocketOfAStoppedProcessIsNotReplaced(t *testing.T) {
	path := t.TempDir() + "/a.sock"
	p := start(t, "unix:"+path)
	p.begin(t, time.Time{})
	if got := p.says(); got != "listening" {
		t.Fatal(got)
	}
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	refused(t, "unix:"+path, Options{}, "in use")
	if err := p.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if got := answers(t, path); got != p.cmd.Process.Pid {
		t.Errorf("process %d answers", got)
	}
	p.end(t)
	isEmpty(t, path)
}

// The same within one process, where more rounds can be had.
func TestUnixSocketIsWonByOneListener(t *testing.T) {
	path := t.TempDir() + "/a.sock"
	spec := mustParse(t, "unix:"+path)
	for round := range 150 {
		if round%2 == 0 {
			leaveDead(t, path)
		}
		var all sync.WaitGroup
		won := make(chan *Listener, 8)
		begin := make(chan struct{})
		for range cap(won) {
			all.Go(func() {
				<-begin
				ls, err := Open(t.Context(), []Spec{spec}, Options{})
				if err == nil {
					won <- ls[0]
				} else if !strings.Contains(err.Error(), "the socket is in use") {
					t.Error(err)
				}
			})
		}
		close(begin)
		all.Wait()
		if len(won) != 1 {
			t.Fatalf("round %d: %d listeners", round, len(won))
		}
		if err := (<-won).Close(); err != nil {
			t.Error(err)
		}
		isEmpty(t, path)
	}
}

// A lock whose file was just removed holds nobody off.
func TestUnixSocketIsHeldByOneListenerAtATime(t *testing.T) {
	path := t.TempDir() + "/a.sock"
	spec := mustParse(t, "unix:"+path)
	var holders, times atomic.Int32
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 1000 {
				ls, err := Open(t.Context(), []Spec{spec}, Options{})
				if err != nil {
					if !strings.Contains(err.Error(), "the socket is in use") {
						t.Error(err)
					}
					continue
				}
				times.Add(1)
				if n := holders.Add(1); n != 1 {
					t.Errorf("%d listeners at once", n)
				}
				runtime.Gosched()
				holders.Add(-1)
				if err := ls[0].Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if times.Load() < 10 {
		t.Errorf("opened %d times", times.Load())
	}
	isEmpty(t, path)
}

// Of processes that start at once over a dead one's socket, one gets it, and keeps it.
func TestUnixSocketIsWonByOneProcess(t *testing.T) {
	const rounds, processes = 30, 3
	for round := range rounds {
		path := t.TempDir() + "/a.sock"
		if round%3 > 0 {
			leaveDead(t, path)
		}
		if round%3 > 1 {
			if err := os.WriteFile(path+".lock", nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var all []*process
		for range processes {
			all = append(all, start(t, "unix:"+path))
		}
		at := time.Now().Add(20 * time.Millisecond)
		for _, p := range all {
			p.begin(t, at)
		}
		var winner *process
		for _, p := range all {
			got := p.says()
			switch {
			case got == "listening" && winner == nil:
				winner = p
			case got == "listening":
				t.Fatalf("round %d: two processes listen", round)
			case !strings.Contains(got, "the socket is in use"):
				t.Fatalf("round %d: a process says %q", round, got)
			}
		}
		if winner == nil {
			t.Fatalf("round %d: nobody listens", round)
		}
		if got, want := answers(t, path), winner.cmd.Process.Pid; got != want {
			t.Fatalf("round %d: process %s answers, want %d", round, strconv.Itoa(got), want)
		}
		for _, p := range all {
			p.end(t)
		}
		isEmpty(t, path)
	}
}
