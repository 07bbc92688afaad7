package certs

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// inParallel maps a list with as many goroutines as there are processors, and
// returns when all are done. Parsing keys is what loading a large root waits for.
func inParallel[T, R any](list []T, f func(T) R) []R {
	out := make([]R, len(list))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(list)) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(list) {
					return
				}
				out[i] = f(list[i])
			}
		})
	}
	wg.Wait()
	return out
}
