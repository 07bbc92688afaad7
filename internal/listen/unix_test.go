//go:build linux

package listen

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// isEmpty fails when there is a socket, or what was made for it.
func isEmpty(t *testing.T, path string) {
	t.Helper()
	found, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(found) > 0 {
		t.Errorf("in %s there is %v, %v", filepath.Dir(path), found, err)
	}
}

func withUmask(t *testing.T, mask int) {
	t.Helper()
	before := syscall.Umask(mask)
	t.Cleanup(func() { syscall.Umask(before) })
}

// aGroup returns a group that this process may give a file to.
func aGroup(t *testing.T) int {
	t.Helper()
	if os.Geteuid() == 0 {
		return 54321
	}
	own, err := os.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	for _, gid := range own {
		if gid != os.Getegid() {
			return gid
		}
	}
	t.Skip("PREREQUISITE MISSING: a second group of this user; run as root")
	return 0
}

func access(t *testing.T, path string) (fs.FileMode, int) {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		t.Fatalf("%s is %v", path, info.Mode())
	}
	return info.Mode().Perm(), int(info.Sys().(*syscall.Stat_t).Gid)
}

func TestUnixSocketHasItsModeWhateverTheUmask(t *testing.T) {
	gid := aGroup(t)
	for _, mask := range []int{0, 0o022, 0o077, 0o777} {
		withUmask(t, mask)
		for options, want := range map[string]struct {
			mode fs.FileMode
			gid  int
		}{
			"":                                     {0o600, os.Getegid()},
			",mode=0660":                           {0o660, os.Getegid()},
			",mode=0666":                           {0o666, os.Getegid()},
			",mode=0222":                           {0o222, os.Getegid()},
			",group=" + strconv.Itoa(gid):          {0o660, gid},
			fmt.Sprintf(",mode=620,group=%d", gid): {0o620, gid},
		} {
			dir := t.TempDir()
			if err := os.Chmod(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			path := dir + "/proxy.sock"
			l := open1(t, "unix:"+path+options, Options{})
			if mode, group := access(t, path); mode != want.mode || group != want.gid {
				t.Errorf("umask %04o, %q: mode %04o and group %d", mask, options, mode, group)
			}
			if l.Beyond() || l.Address() != "unix:"+path {
				t.Errorf("Beyond %v, Address %s", l.Beyond(), l.Address())
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			isEmpty(t, path)
		}
	}
}

func TestUnixGroupTeaches(t *testing.T) {
	refused(t, "unix:"+t.TempDir()+"/x,group=certproxy-nobody-has-this", Options{}, "there is no group certproxy-nobody-has-this", "groupadd")
}

func TestUnixConnectionTellsItsUser(t *testing.T) {
	l := open1(t, "unix:"+t.TempDir()+"/a.sock", Options{})
	dialed, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer dialed.Close()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Control(func(fd uintptr) {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil || int(cred.Uid) != os.Geteuid() || int(cred.Pid) != os.Getpid() {
			t.Errorf("SO_PEERCRED says %v, %v", cred, err)
		}
	})
	if err != nil {
		t.Error(err)
	}
}

func TestUnixSocketAtTheLongestPath(t *testing.T) {
	path := t.TempDir() + "/"
	path += strings.Repeat("x", maxPath-len(path))
	l := open1(t, "unix:"+path, Options{})
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if l.Addr().String() != path {
		t.Errorf("it listens on %s", l.Addr())
	}
}

func TestUnixListenerLeavesWhatIsNotItsOwn(t *testing.T) {
	cases := map[string]struct {
		make func(path string) error
		want string
	}{
		"file":      {func(p string) error { return os.WriteFile(p, []byte("precious"), 0o644) }, "the file there is not a socket, and is left alone"},
		"directory": {func(p string) error { return os.Mkdir(p, 0o755) }, "it is a directory"},
		"fifo":      {func(p string) error { return syscall.Mkfifo(p, 0o644) }, "not a socket"},
		"link":      {func(p string) error { return os.Symlink("elsewhere", p) }, "it is a symbolic link, which is not followed"},
		"link to a dead socket": {func(p string) error {
			leaveDead(t, p+".real")
			return os.Symlink(p+".real", p)
		}, "it is a symbolic link, which is not followed"},
		"datagram socket": {func(p string) error {
			c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: p, Net: "unixgram"})
			if err == nil {
				t.Cleanup(func() { c.Close() })
			}
			return err
		}, "in use; see by whom (ss -xlp src "},
		"another's listener": {func(p string) error {
			l, err := net.Listen("unix", p)
			if err == nil {
				t.Cleanup(func() { l.Close() })
			}
			return err
		}, fmt.Sprintf("in use; it is process %d's", os.Getpid())},
		"another's lock": {func(p string) error { return os.Symlink("/etc/passwd", p+".lock") }, ".lock is not a file"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			path := t.TempDir() + "/proxy.sock"
			if err := c.make(path); err != nil {
				t.Fatal(err)
			}
			before, _ := os.Lstat(path)
			refused(t, "unix:"+path, Options{}, "cannot listen on unix:"+path, c.want)
			if after, err := os.Lstat(path); before != nil && (err != nil || !os.SameFile(before, after)) {
				t.Errorf("it was replaced: %v, %v", after, err)
			}
		})
	}
}

// leaveDead leaves a socket behind as a process does that is killed.
func leaveDead(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
}

func TestUnixSocketWhoseBacklogIsFullIsAlive(t *testing.T) {
	path := t.TempDir() + "/busy.sock"
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if c, err := net.Dial("unix", path); err == nil {
			defer c.Close()
		}
	}
	refused(t, "unix:"+path, Options{}, "in use")
	if _, err := os.Lstat(path); err != nil {
		t.Error(err)
	}
}

func TestUnixDirectoryTeaches(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/file", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	refused(t, "unix:"+dir+"/none/x", Options{}, "there is no directory "+dir+"/none", "RuntimeDirectory=")
	refused(t, "unix:"+dir+"/file/x", Options{}, "is not a directory")
	for err, want := range map[error]string{
		syscall.EROFS:  "is read-only",
		syscall.EACCES: "permission denied in /run",
		syscall.EPERM:  "permission denied in /run",
		syscall.EIO:    "input/output error",
	} {
		if got := pathError(mustParse(t, "unix:/run/x"), &fs.PathError{Op: "open", Path: "/run/x.lock", Err: err}); !strings.Contains(got.Error(), want) {
			t.Errorf("%v: %v", err, got)
		}
	}
}

func TestUnixCloseLeavesAnothersSocket(t *testing.T) {
	path := t.TempDir() + "/a.sock"
	l := open1(t, "unix:"+path, Options{})
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	other, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatalf("another's socket was removed: %v", err)
	}
	c.Close()
}

func TestUnixCloseWhenTheFileIsGone(t *testing.T) {
	path := t.TempDir() + "/a.sock"
	l := open1(t, "unix:"+path, Options{})
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	isEmpty(t, path)
}

func TestUnixOpenAgainAfterClose(t *testing.T) {
	path := t.TempDir() + "/a.sock"
	for range 50 {
		l := open1(t, "unix:"+path, Options{})
		refused(t, "unix:"+path, Options{}, "in use; it is process "+strconv.Itoa(os.Getpid())+"'s")
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	isEmpty(t, path)
}
