package http1

import (
	"bufio"
	"io"
	"sync"
)

// bufferSize is enough for the header of nearly every request, and for the header and
// body of a short answer.
const bufferSize = 4 << 10

// buffers are lent to connections while they serve a request.
type buffers struct{ readers, writers sync.Pool }

func (b *buffers) reader(src io.Reader) *bufio.Reader {
	if br, ok := b.readers.Get().(*bufio.Reader); ok {
		br.Reset(src)
		return br
	}
	return bufio.NewReaderSize(src, bufferSize)
}

func (b *buffers) writer(dst io.Writer) *bufio.Writer {
	if bw, ok := b.writers.Get().(*bufio.Writer); ok {
		bw.Reset(dst)
		return bw
	}
	return bufio.NewWriterSize(dst, bufferSize)
}

func (b *buffers) putReader(br *bufio.Reader) {
	if br.Size() > bufferSize {
		return // few requests have so large a header
	}
	br.Reset(nil) // it must not keep a connection alive
	b.readers.Put(br)
}

func (b *buffers) putWriter(bw *bufio.Writer) {
	bw.Reset(nil)
	b.writers.Put(bw)
}
