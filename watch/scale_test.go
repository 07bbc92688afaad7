package watch

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"
)

// tenThousand makes that many host directories, one of them behind a link.
func (r *rig) tenThousand() {
	r.write("outside/client.cert", "1")
	r.ln("../../outside/client.cert", "certs.d/reg0/client.cert")
	for i := range 10_000 {
		r.mkdir(fmt.Sprintf("certs.d/reg%d", i))
	}
}

// counted counts the looks at the file system from now on.
func (r *rig) counted() *atomic.Int64 {
	var n atomic.Int64
	d := r.watcher.disk
	r.watcher.disk.lstat = func(path string) (os.FileInfo, error) { n.Add(1); return d.lstat(path) }
	r.watcher.disk.readDir = func(path string) ([]os.DirEntry, error) { n.Add(1); return d.readDir(path) }
	return &n
}

func TestOneEventAmongTenThousandHostsLooksAtItsHostAlone(t *testing.T) {
	r := newRig(t)
	r.tenThousand()
	looks := r.counted()
	r.start()
	all := looks.Swap(0)
	if all < 10_000 {
		t.Fatalf("%d looks at the start, want one for each host at least: the count is wrong", all)
	}
	r.write("certs.d/reg7000/client.cert", "2")
	r.wants("certs.d/reg7000/client.cert", "2")
	r.write("outside/client.cert", "3")
	r.wants("certs.d/reg0/client.cert", "3")
	r.write("certs.d/new/client.cert", "4")
	r.wants("certs.d/new/client.cert", "4")
	if one := looks.Load(); one > 200 {
		t.Errorf("three changes cost %d looks at the file system, want a few", one)
	}
	r.toldOnly("certs.d/reg7000", "certs.d/reg0", "certs.d/new")
}

// BenchmarkFullSync is what a rescan costs the watcher itself.
func BenchmarkFullSync(b *testing.B) {
	r := newRig(b)
	r.tenThousand()
	tree := newTree(r.watcher, func(changes) {})
	defer tree.close()
	tree.sync(everything())
	for b.Loop() {
		tree.sync(everything())
	}
}

// BenchmarkStart is what making 10,000 watches costs.
func BenchmarkStart(b *testing.B) {
	r := newRig(b)
	r.tenThousand()
	for b.Loop() {
		tree := newTree(r.watcher, func(changes) {})
		tree.sync(everything())
		tree.close()
	}
}

// BenchmarkHostSync is what one change costs the watcher among 10,000 hosts.
func BenchmarkHostSync(b *testing.B) {
	r := newRig(b)
	r.tenThousand()
	tree := newTree(r.watcher, func(changes) {})
	defer tree.close()
	tree.sync(everything())
	c := one(r.path("certs.d/reg0"))
	for b.Loop() {
		tree.sync(c)
	}
}
