package proxy

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"testing"
)

// However a wire is switched while bytes go through it, they come out as they went
// in, and after a flush none is held back.
func FuzzWire(f *testing.F) {
	f.Add(uint64(1), uint32(3000), true)
	f.Add(uint64(2), uint32(700_000), false)
	f.Fuzz(func(t *testing.T, seed uint64, size uint32, early bool) {
		random := rand.New(rand.NewPCG(seed, 1))
		sent := make([]byte, size%(1<<20))
		for i := range sent {
			sent[i] = byte(random.Uint32())
		}
		a, b := net.Pipe()
		defer func() { _ = b.Close() }()
		buffers := &wireBuffers{budget: new(budget)}
		buffers.budget.left.Store(int64(seed % 4 * wireSize))
		first := sent[:0]
		if early {
			first = sent[:len(sent)/7]
		}
		out, in := newWire(a, nil, buffers), newWire(b, bytes.Clone(first), buffers)
		go func() {
			defer func() { _ = a.Close() }()
			for rest := sent[len(first):]; len(rest) > 0; {
				_ = out.writeWide(seed%3 != 0 && len(rest)%5 < 3)
				n := min(len(rest), 1+int(rest[0])*len(rest)%(300<<10))
				_, _ = out.Write(rest[:n])
				rest = rest[n:]
			}
			_ = out.flush()
		}()
		var got []byte
		for buf := make([]byte, 40<<10); ; {
			in.readWide(random.Uint32()%2 == 0)
			n, err := in.Read(buf[:1+random.IntN(len(buf))])
			got = append(got, buf[:n]...)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, sent) {
			t.Errorf("%d bytes came out of %d", len(got), len(sent))
		}
	})
}

// What is lent to a connection that breaks is not lost to the others.
func TestBuffersOfBrokenConnectionsComeBack(t *testing.T) {
	buffers := &wireBuffers{budget: new(budget)}
	buffers.budget.left.Store(2 * wireSize)
	for range 5 {
		a, b := net.Pipe()
		w := newWire(a, nil, buffers)
		w.readWide(true)
		if err := w.writeWide(true); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte("never sent")); err != nil {
			t.Fatal(err)
		}
		var wait sync.WaitGroup
		wait.Go(func() { _, _ = b.Write([]byte("never read")) })
		if _, err := w.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		if w.outBuf == nil || w.inBuf == nil {
			t.Fatal("no buffer is lent")
		}
		if buffers.get() != nil {
			t.Fatal("more are lent than there are")
		}
		_ = w.Close()
		_ = b.Close()
		wait.Wait()
		eventually(t, "both are back", func() bool {
			runtime.GC()
			return buffers.budget.left.Load() == 2*wireSize
		})
	}
}
