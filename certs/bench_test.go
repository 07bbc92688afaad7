package certs

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/certproxy/certproxy/internal/throwaway"
)

const manyHosts = 10_000

// manyHostsRoot writes a root with a CA root and a pair of its own for each host.
func manyHostsRoot(tb testing.TB) string {
	tb.Helper()
	root := filepath.Join(tb.TempDir(), "certs.d")
	ca := throwaway.NewCA("root")
	for i := range manyHosts {
		dir := filepath.Join(root, fmt.Sprintf("registry-%d.example:5000", i))
		ca.WriteRoot(dir, "ca")
		ca.Issue(throwaway.Options{Name: "client"}).WritePair(dir, "client")
	}
	return root
}

func BenchmarkLookup10000Hosts(b *testing.B) {
	store := NewStore([]Root{Dir(manyHostsRoot(b))}, nil)
	// The hosts are made once: outside of b.Run, RunParallel would have them made again
	// for each number of iterations that it tries.
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, ok := store.Lookup("registry-4711.example:5000"); !ok {
					b.Error("not found")
				}
			}
		})
	})
}

func BenchmarkLoad10000Hosts(b *testing.B) {
	root := manyHostsRoot(b)
	for b.Loop() {
		NewStore([]Root{Dir(root)}, nil)
	}
}

func BenchmarkReloadOneOf10000Hosts(b *testing.B) {
	root := manyHostsRoot(b)
	store := NewStore([]Root{Dir(root)}, nil)
	dir := filepath.Join(root, "registry-4711.example:5000")
	pair := throwaway.NewCA("other")
	for b.Loop() {
		b.StopTimer()
		pair.Issue(throwaway.Options{Name: "next"}).WritePair(dir, "client")
		b.StartTimer()
		if d := store.Reload([]string{dir}); len(d.Changed) != 1 {
			b.Fatalf("delta %+v", d)
		}
	}
}

func BenchmarkRescan10000Hosts(b *testing.B) {
	root := manyHostsRoot(b)
	old := time.Now().Add(-time.Hour)
	for _, pattern := range []string{"*", "*/*"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			b.Fatal(err)
		}
		for _, file := range files {
			if err := os.Chtimes(file, old, old); err != nil {
				b.Fatal(err)
			}
		}
	}
	store := NewStore([]Root{Dir(root)}, nil)
	for b.Loop() {
		if d := store.Reload(nil); !d.Empty() {
			b.Fatalf("delta %+v", d)
		}
	}
}

func TestLookupAllocatesNothing(t *testing.T) {
	root := t.TempDir()
	throwaway.SelfSigned(throwaway.Options{}).WritePair(filepath.Join(root, "registry.example"), "client")
	store := NewStore([]Root{Dir(root)}, nil)
	if n := testing.AllocsPerRun(100, func() { store.Lookup("registry.example:443") }); n != 0 {
		t.Errorf("%v allocations a lookup", n)
	}
}
