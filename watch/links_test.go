package watch

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"
)

func TestKubernetesSwap(t *testing.T) {
	r := newRig(t)
	r.write("certs.d/reg/..0/client.cert", "0")
	r.ln("..0", "certs.d/reg/..data")
	r.ln("..data/client.cert", "certs.d/reg/client.cert")
	r.start()
	for i := 1; i <= 50; i++ {
		r.write(fmt.Sprintf("certs.d/reg/..%d/client.cert", i), fmt.Sprint(i))
		r.ln(fmt.Sprintf("..%d", i), "certs.d/reg/..data")
		r.rm(fmt.Sprintf("certs.d/reg/..%d", i-1))
		r.wants("certs.d/reg/client.cert", fmt.Sprint(i))
	}
	r.toldOnly("certs.d/reg")
}

// In Kubernetes the whole root can be one secret too, its host directories links.
func TestKubernetesSwapOfTheRoot(t *testing.T) {
	r := newRig(t)
	r.write("certs.d/..0/reg/client.cert", "0")
	r.ln("..0", "certs.d/..data")
	r.ln("..data/reg", "certs.d/reg")
	r.start()
	for i := 1; i <= 50; i++ {
		r.write(fmt.Sprintf("certs.d/..%d/reg/client.cert", i), fmt.Sprint(i))
		r.ln(fmt.Sprintf("..%d", i), "certs.d/..data")
		r.rm(fmt.Sprintf("certs.d/..%d", i-1))
		r.wants("certs.d/reg/client.cert", fmt.Sprint(i))
	}
}

// As certbot does it: a link to a link in another tree.
func TestChangeBehindALinkOutsideTheRoot(t *testing.T) {
	r := newRig(t)
	r.write("letsencrypt/archive/reg/cert1.pem", "1")
	r.ln("../../archive/reg/cert1.pem", "letsencrypt/live/reg/cert.pem")
	r.ln(r.path("letsencrypt/live/reg/cert.pem"), "certs.d/reg/client.cert")
	r.write("certs.d/other/client.cert", "x")
	r.start()
	r.write("letsencrypt/archive/reg/cert1.pem", "2")
	r.wants("certs.d/reg/client.cert", "2")
	r.write("letsencrypt/archive/reg/cert2.pem", "3")
	r.ln("../../archive/reg/cert2.pem", "letsencrypt/live/reg/cert.pem")
	r.wants("certs.d/reg/client.cert", "3")
	r.mv("letsencrypt/live", "letsencrypt/away")
	r.wants("certs.d/reg/client.cert", "")
	r.mv("letsencrypt/away", "letsencrypt/live")
	r.wants("certs.d/reg/client.cert", "3")
	r.write("letsencrypt/archive/reg/cert2.pem", "4")
	r.wants("certs.d/reg/client.cert", "4")
	r.toldOnly("certs.d/reg")
}

func TestLinkWhoseTargetComesLater(t *testing.T) {
	r := newRig(t)
	r.ln("../../far/away/client.cert", "certs.d/reg/client.cert")
	r.ln("../elsewhere/host", "certs.d/linked")
	r.start()
	r.write("far/away/client.cert", "1")
	r.wants("certs.d/reg/client.cert", "1")
	r.write("elsewhere/host/client.cert", "2")
	r.wants("certs.d/linked/client.cert", "2")
	r.write("elsewhere/host/client.cert", "3")
	r.wants("certs.d/linked/client.cert", "3")
	r.toldOnly("certs.d/reg", "certs.d/linked")
}

func TestHostIsALinkThatIsSwapped(t *testing.T) {
	r := newRig(t)
	r.write("hosts/v1/client.cert", "1")
	r.write("hosts/v2/client.cert", "2")
	r.ln("../hosts/v1", "certs.d/reg")
	r.start()
	r.ln("../hosts/v2", "certs.d/reg")
	r.wants("certs.d/reg/client.cert", "2")
	r.write("hosts/v2/client.cert", "3")
	r.wants("certs.d/reg/client.cert", "3")
	r.toldOnly("certs.d/reg", "certs.d/reg.new")
}

// Two links lead to one inode, and the system has one watch for it.
func TestTwoHostsWithOneDirectory(t *testing.T) {
	r := newRig(t)
	r.write("shared/client.cert", "1")
	r.ln("../shared", "certs.d/a")
	r.ln("../shared", "certs.d/b")
	r.start()
	r.write("shared/client.cert", "2")
	r.wants("certs.d/a/client.cert", "2")
	r.wants("certs.d/b/client.cert", "2")
	r.rm("certs.d/a")
	r.wants("certs.d/a/client.cert", "")
	r.write("shared/client.cert", "3")
	r.wants("certs.d/b/client.cert", "3")
	r.toldOnly("certs.d/a", "certs.d/b")
}

func TestLinksThatLeadNowhere(t *testing.T) {
	r := newRig(t)
	r.ln("loop", "certs.d/reg/loop")
	r.ln("ping", "certs.d/reg/pong")
	r.ln("pong", "certs.d/reg/ping")
	r.ln("client.cert/below/a/file", "certs.d/reg/odd")
	r.ln("../../../../../../../../../../../../..", "certs.d/top")
	r.ln("loop", "certs.d/loop")
	r.write("certs.d/reg/client.cert", "1")
	r.start()
	r.write("certs.d/reg/client.cert", "2")
	r.wants("certs.d/reg/client.cert", "2")
}

// A link made between the listing of a host directory and its watch would lead to a
// directory that is never watched: so the watch comes first.
func TestLinkMadeWhileTheHostIsListed(t *testing.T) {
	r := newRig(t)
	r.mkdir("certs.d")
	r.write("outside/client.cert", "1")
	var made atomic.Bool
	r.watcher.disk.readDir = func(dir string) ([]os.DirEntry, error) {
		entries, err := os.ReadDir(dir)
		if dir == r.path("certs.d/reg") && made.CompareAndSwap(false, true) {
			r.ln("../../outside/client.cert", "certs.d/reg/client.cert")
		}
		return entries, err
	}
	r.start()
	r.mkdir("certs.d/reg")
	r.wants("certs.d/reg/client.cert", "1")
	for i := range 5 {
		r.write("outside/client.cert", fmt.Sprint(i, " later"))
		r.wants("certs.d/reg/client.cert", fmt.Sprint(i, " later"))
	}
}
