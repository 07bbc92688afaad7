package watch

import (
	"os"
	"syscall"
	"testing"
)

// mount mounts until the test ends or umount is called.
func (r *rig) mount(source, target, kind string, flags uintptr) (umount func()) {
	r.Helper()
	if os.Getuid() != 0 {
		r.Skip("SKIPPED: mounting a file system needs root; run the tests as root to see what a mount does")
	}
	r.mkdir(target)
	r.must(syscall.Mount(source, r.path(target), kind, flags, ""))
	mounted := true
	umount = func() {
		if mounted {
			r.must(syscall.Unmount(r.path(target), syscall.MNT_DETACH))
			mounted = false
		}
	}
	r.Cleanup(umount)
	return umount
}

func TestRescanFindsAMountOverAHost(t *testing.T) {
	r := newRig(t)
	file := "certs.d/reg/client.cert"
	r.write(file, "under")
	r.start()
	for range 3 { // the inode and device numbers of the mounts can be the same
		umount := r.mount("tmpfs", "certs.d/reg", "tmpfs", 0)
		r.watcher.Rescan()
		r.wants(file, "")
		r.write(file, "over")
		r.wants(file, "over")
		umount()
		r.watcher.Rescan()
		r.wants(file, "under")
		r.write(file, "under again")
		r.wants(file, "under again")
		r.write(file, "under")
		r.wants(file, "under")
	}
}

func TestRescanFindsAMountThatWasReplaced(t *testing.T) {
	r := newRig(t)
	file := "certs.d/reg/client.cert"
	umount := r.mount("tmpfs", "certs.d/reg", "tmpfs", 0)
	r.write(file, "1")
	r.start()
	umount()
	r.mount("tmpfs", "certs.d/reg", "tmpfs", 0)
	r.watcher.Rescan()
	r.wants(file, "")
	r.write(file, "2")
	r.wants(file, "2")
}

// The system has one watch for both paths, and tells of one of them.
func TestBindMountOfARoot(t *testing.T) {
	r := newRig(t, "a", "b")
	r.write("a/reg/client.cert", "1")
	umount := r.mount(r.path("a"), "b", "", syscall.MS_BIND)
	r.start()
	for _, from := range []string{"a", "b"} {
		r.write(from+"/reg/client.cert", "from "+from)
		r.wants("a/reg/client.cert", "from "+from)
		r.wants("b/reg/client.cert", "from "+from)
	}
	r.rm("b/reg")
	r.wants("a/reg/client.cert", "")
	r.wants("b/reg/client.cert", "")
	r.write("b/reg/client.cert", "2")
	r.wants("a/reg/client.cert", "2")
	r.wants("b/reg/client.cert", "2")
	umount()
	r.watcher.Rescan()
	r.wants("b/reg/client.cert", "")
	r.write("a/reg/client.cert", "3")
	r.wants("a/reg/client.cert", "3")
	r.write("b/reg/client.cert", "4")
	r.wants("b/reg/client.cert", "4")
}
