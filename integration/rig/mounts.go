package rig

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// MountSmall mounts a file system of so many bytes on a directory until the test ends.
func MountSmall(t testing.TB, dir string, size int) {
	t.Helper()
	needNamespaces(t)
	mount(t, dir, "tmpfs", "tmpfs", "-o", fmt.Sprintf("size=%d", size))
}

// MountHung mounts, for a process that has mounts of its own, a file system on a directory
// that answers nothing: whoever looks into it waits, as on the mount of a network server
// that has gone. The returned function ends that, with errors for those who wait; the
// test's end does it at the latest.
func MountHung(t testing.TB, pid int, dir string) (end func()) {
	t.Helper()
	// FUSE, with a server that never reads.
	server, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		miss(t, "no /dev/fuse here: "+err.Error())
	}
	within := func(args ...string) *exec.Cmd {
		return exec.Command("nsenter", append([]string{"-t", strconv.Itoa(pid), "-m", "--"}, args...)...)
	}
	cmd := within("mount", "-i", "-t", "fuse", "-o", "fd=3,rootmode=40000,user_id=0,group_id=0", "hung", dir)
	cmd.ExtraFiles = []*os.File{server} // 3
	if out, err := cmd.CombinedOutput(); err != nil {
		server.Close()
		miss(t, "no FUSE file system can be mounted: "+strings.TrimSpace(string(out)))
	}
	end = sync.OnceFunc(func() {
		_ = within("umount", "--lazy", dir).Run() // the process may have ended, and its mounts with it
		server.Close()                            // who waits gets an error
	})
	t.Cleanup(end)
	const timedOut = 124
	look := within("timeout", "0.3", "ls", dir)
	if _ = look.Run(); look.ProcessState.ExitCode() != timedOut {
		t.Fatalf("the mount does not hang: ls ended with %v", look.ProcessState)
	}
	return end
}
