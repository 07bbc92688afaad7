package watch

import (
	"fmt"
	"testing"
)

func TestRootMadeLaterSeveralLevelsAtOnce(t *testing.T) {
	for i := range 30 {
		r := newRig(t, "etc/docker/more/certs.d", "etc/other/certs.d")
		r.start()
		file := "etc/docker/more/certs.d/reg/client.cert"
		r.write(file, "1")
		r.wants(file, "1")
		r.write(file, fmt.Sprint(i))
		r.wants(file, fmt.Sprint(i))
	}
}

func TestRootMadeStepByStep(t *testing.T) {
	r := newRig(t, "etc/docker/certs.d")
	r.start()
	for _, dir := range []string{"etc", "etc/docker", "etc/docker/certs.d"} {
		r.mkdir(dir)
		r.next()
	}
	r.write("etc/docker/certs.d/reg/client.cert", "1")
	r.wants("etc/docker/certs.d/reg/client.cert", "1")
}

func TestRootDeletedAndMadeAgain(t *testing.T) {
	r := newRig(t, "etc/certs.d")
	file := "etc/certs.d/reg/client.cert"
	r.write(file, "start")
	r.start()
	for i, gone := range []string{"etc/certs.d", "etc", "etc/certs.d", "etc"} {
		for range 20 {
			r.rm(gone)
			r.write(file, fmt.Sprint(i))
			r.wants(file, fmt.Sprint(i))
			r.write(file, "later")
			r.wants(file, "later")
		}
		r.rm(gone)
		r.wants(file, "")
	}
}

func TestRootRenamedAwayAndMadeAgain(t *testing.T) {
	r := newRig(t, "etc/docker/certs.d")
	file := "etc/docker/certs.d/reg/client.cert"
	r.write(file, "start")
	r.start()
	for i, gone := range []string{"etc/docker/certs.d", "etc/docker", "etc"} {
		r.mv(gone, fmt.Sprint("old", i))
		r.wants(file, "")
		r.write(file, "1")
		r.wants(file, "1")
		r.mv(gone, fmt.Sprint("older", i))
		r.mv(fmt.Sprint("old", i), gone)
		r.write(file, "2")
		r.wants(file, "2")
	}
}

func TestRootIsALinkThatIsSwapped(t *testing.T) {
	r := newRig(t, "etc/certs.d")
	file := "etc/certs.d/reg/client.cert"
	r.write("v1/reg/client.cert", "1")
	r.write("v2/reg/client.cert", "2")
	r.ln("../v1", "etc/certs.d")
	r.start()
	r.wants(file, "1")
	r.ln(r.path("v2"), "etc/certs.d")
	r.wants(file, "2")
	r.write("v2/reg/client.cert", "3")
	r.wants(file, "3")
	r.rm("v2")
	r.wants(file, "")
	r.write("v2/reg/client.cert", "4")
	r.wants(file, "4")
}

func TestAncestorIsALinkThatIsSwapped(t *testing.T) {
	r := newRig(t, "current/etc/certs.d")
	r.write("v1/etc/certs.d/reg/client.cert", "1")
	r.ln("v1", "current")
	r.start()
	r.ln("v2", "current")
	r.wants("current/etc/certs.d/reg/client.cert", "")
	r.write("v2/etc/certs.d/reg/client.cert", "2")
	r.wants("current/etc/certs.d/reg/client.cert", "2")
}

func TestRootBecomesALink(t *testing.T) {
	r := newRig(t)
	r.write("certs.d/reg/client.cert", "1")
	r.start()
	r.mv("certs.d", "moved")
	r.ln("moved", "certs.d")
	r.write("moved/reg/client.cert", "2")
	r.wants("certs.d/reg/client.cert", "2")
}

func TestTwoRootsWithOneDirectory(t *testing.T) {
	r := newRig(t, "a", "b")
	r.write("a/reg/client.cert", "1")
	r.ln("a", "b")
	r.start()
	r.write("a/reg/client.cert", "2")
	r.wants("a/reg/client.cert", "2")
	r.wants("b/reg/client.cert", "2")
	r.rm("b")
	r.wants("b/reg/client.cert", "")
	r.write("a/reg/client.cert", "3")
	r.wants("a/reg/client.cert", "3")
}

func TestRootInsideARoot(t *testing.T) {
	r := newRig(t, "a", "a/b")
	r.write("a/b/reg/client.cert", "1")
	r.start()
	r.write("a/b/reg/client.cert", "2")
	r.wants("a/b/reg/client.cert", "2")
	r.write("a/b/client.cert", "3")
	r.wants("a/b/client.cert", "3")
}

// The root's parent may be /tmp, where others write all the time.
func TestNoiseBesideARootIsNoChange(t *testing.T) {
	r := newRig(t, "tmp/certs.d", "tmp/not/yet")
	r.mkdir("tmp/certs.d")
	r.start()
	for i := range 1000 {
		r.write(fmt.Sprint("tmp/noise", i), "x")
	}
	r.write("tmp/certs.d/reg/client.cert", "1")
	r.wants("tmp/certs.d/reg/client.cert", "1")
	r.toldOnly("tmp/certs.d/reg")
}
