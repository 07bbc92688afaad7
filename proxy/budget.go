package proxy

import (
	"runtime/debug"
	"sync/atomic"
)

// inMemory is how much memory the bodies under way may take together, for each of the two
// purposes that are worth memory and can do without it: to be kept for another attempt, and
// to be moved many records at a time. Past it the first go to files, and the second are
// moved a record at a time.
const inMemory = 64 << 20

// A budget is how much there is of something for all who want a part of it. Nil is
// without end.
type budget struct{ left atomic.Int64 }

// newBudget returns a budget of inMemory, or of a quarter of the process's memory limit
// (GOMEMLIMIT), where that is less.
func newBudget() *budget {
	b := new(budget)
	b.left.Store(min(inMemory, debug.SetMemoryLimit(-1)/4))
	return b
}

// take takes n, if there is as much.
func (b *budget) take(n int) bool {
	if b == nil {
		return true
	}
	if b.left.Add(int64(-n)) < 0 {
		b.left.Add(int64(n))
		return false
	}
	return true
}

// give gives n back.
func (b *budget) give(n int) {
	if b != nil {
		b.left.Add(int64(n))
	}
}
