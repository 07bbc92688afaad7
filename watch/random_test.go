package watch

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// Whatever happens to the tree, in the end the reader has read what is there.
func TestAnySequenceOfChangesIsSeen(t *testing.T) {
	for range 20 {
		seed := rand.Uint64()
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			pick := func(from ...string) string { return from[random.IntN(len(from))] }
			r := newRig(t, "etc/one/certs.d", "etc/two/certs.d")
			places := []string{
				"etc", "etc/one", "etc/two", "etc/one/certs.d", "etc/two/certs.d", "aside", "aside/dir",
				"etc/one/certs.d/a", "etc/one/certs.d/b", "etc/two/certs.d/a", "etc/one/certs.d/a/..data", "etc/one/certs.d/a/..1",
			}
			r.start()
			for i := range 300 {
				at, to := r.path(pick(places...)), r.path(pick(places...))
				// Much of it fails, as the places are not what it takes: that is fine.
				switch random.IntN(12) {
				case 0:
					_ = os.RemoveAll(at)
				case 1, 2:
					_ = os.Rename(at, to)
				case 3:
					_ = os.Symlink(to, at)
				case 4:
					_ = os.Symlink(pick("..data", "..1", "../b", "../../../aside", "../../two/certs.d"), at)
				case 5:
					_ = os.Symlink(pick("..data/y", "..1/x", "../../../../aside/x", "../b/x"), filepath.Join(at, "x"))
				case 6:
					r.wantsTruth()
				default:
					_ = os.MkdirAll(at, 0o755)
					_ = os.WriteFile(filepath.Join(at, pick("x", "y")), fmt.Append(nil, i), 0o600)
				}
			}
			r.wantsTruth()
		})
	}
}
