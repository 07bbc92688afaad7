package proxy

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
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
		buffers := &wireBuffers{}
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
