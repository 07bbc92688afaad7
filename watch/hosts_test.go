package watch

import (
	"fmt"
	"os"
	"testing"
)

func TestFileWritten(t *testing.T) {
	r := newRig(t)
	r.write("certs.d/reg/client.cert", "1")
	r.start()
	r.write("certs.d/reg/client.cert", "2")
	r.wants("certs.d/reg/client.cert", "2")
	r.write("certs.d/reg/client.key", "3")
	r.wants("certs.d/reg/client.key", "3")
	r.toldOnly("certs.d/reg")
}

func TestFileReplacedByRename(t *testing.T) {
	r := newRig(t)
	r.write("certs.d/reg/client.cert", "1")
	r.start()
	r.write("elsewhere/new", "2")
	r.mv("elsewhere/new", "certs.d/reg/client.cert")
	r.wants("certs.d/reg/client.cert", "2")
	r.toldOnly("certs.d/reg")
}

func TestFileRemoved(t *testing.T) {
	r := newRig(t)
	r.write("certs.d/reg/client.cert", "1")
	r.start()
	r.rm("certs.d/reg/client.cert")
	r.wants("certs.d/reg/client.cert", "")
	r.toldOnly("certs.d/reg")
}

func TestFileModeChanged(t *testing.T) {
	r := newRig(t)
	r.write("certs.d/reg/client.cert", "1")
	r.start()
	r.must(os.Chmod(r.path("certs.d/reg/client.cert"), 0o644))
	r.next()
	r.toldOnly("certs.d/reg")
}

func TestHostMadeWithFileAtOnce(t *testing.T) {
	r := newRig(t)
	r.mkdir("certs.d")
	r.start()
	for i := range 100 {
		file := fmt.Sprintf("certs.d/reg%d/client.cert", i)
		r.write(file, "1")
		r.wants(file, "1")
		r.write(file, "2")
		r.wants(file, "2")
	}
}

func TestHostRemoved(t *testing.T) {
	r := newRig(t)
	r.write("certs.d/reg/client.cert", "1")
	r.start()
	r.rm("certs.d/reg")
	r.wants("certs.d/reg/client.cert", "")
	r.toldOnly("certs.d/reg")
}

// A file system may give the new directory the old one's inode number.
func TestHostRemovedAndMadeAgain(t *testing.T) {
	r := newRig(t)
	r.write("certs.d/reg/client.cert", "start")
	r.start()
	for i := range 200 {
		r.rm("certs.d/reg")
		r.write("certs.d/reg/client.cert", fmt.Sprint(i))
		r.wants("certs.d/reg/client.cert", fmt.Sprint(i))
		r.write("certs.d/reg/client.cert", fmt.Sprint(i, " later"))
		r.wants("certs.d/reg/client.cert", fmt.Sprint(i, " later"))
	}
	r.toldOnly("certs.d/reg")
}

func TestHostRenamedAwayAndMadeAgain(t *testing.T) {
	r := newRig(t)
	r.write("certs.d/reg/client.cert", "start")
	r.start()
	for i := range 200 {
		r.mv("certs.d/reg", fmt.Sprintf("old%d", i))
		r.write("certs.d/reg/client.cert", fmt.Sprint(i))
		r.wants("certs.d/reg/client.cert", fmt.Sprint(i))
		r.write("certs.d/reg/client.cert", fmt.Sprint(i, " later"))
		r.wants("certs.d/reg/client.cert", fmt.Sprint(i, " later"))
	}
	r.toldOnly("certs.d/reg")
}

// fsnotify ends the watch of a directory that is renamed, also if it comes back.
func TestHostRenamedAwayAndBack(t *testing.T) {
	r := newRig(t)
	r.write("certs.d/reg/client.cert", "start")
	r.start()
	for i := range 200 {
		r.mv("certs.d/reg", "old")
		r.mv("old", "certs.d/reg")
		r.write("certs.d/reg/client.cert", fmt.Sprint(i))
		r.wants("certs.d/reg/client.cert", fmt.Sprint(i))
		r.write("certs.d/reg/client.cert", fmt.Sprint(i, " later"))
		r.wants("certs.d/reg/client.cert", fmt.Sprint(i, " later"))
	}
	r.toldOnly("certs.d/reg")
}

// fsnotify reports its failure to end a watch that has ended, with its lock held.
func TestHostRenamedAwayAndRemoved(t *testing.T) {
	r := newRig(t)
	r.mkdir("certs.d")
	r.start()
	for i := range 200 {
		file := fmt.Sprintf("certs.d/reg%d/client.cert", i)
		r.write(file, "1")
		r.wants(file, "1")
		r.mv(fmt.Sprintf("certs.d/reg%d", i), "old")
		r.rm("old")
		r.wants(file, "")
	}
}

func TestHostRenamedIn(t *testing.T) {
	r := newRig(t)
	r.mkdir("certs.d")
	r.write("made/client.cert", "1")
	r.start()
	r.mv("made", "certs.d/reg")
	r.wants("certs.d/reg/client.cert", "1")
	r.write("certs.d/reg/client.cert", "2")
	r.wants("certs.d/reg/client.cert", "2")
	r.mv("certs.d/reg", "certs.d/other")
	r.wants("certs.d/reg/client.cert", "")
	r.wants("certs.d/other/client.cert", "2")
	r.write("certs.d/other/client.cert", "3")
	r.wants("certs.d/other/client.cert", "3")
	r.toldOnly("certs.d/reg", "certs.d/other")
}

func TestDirectoryBecomesAFileAndBack(t *testing.T) {
	r := newRig(t)
	r.write("certs.d/reg/client.cert", "1")
	r.start()
	r.rm("certs.d/reg")
	r.write("certs.d/reg", "a file")
	r.wants("certs.d/reg/client.cert", "")
	r.rm("certs.d/reg")
	r.write("certs.d/reg/client.cert", "2")
	r.wants("certs.d/reg/client.cert", "2")
}
