package rig

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Frames speak HTTP/2 to certproxy a frame at a time, as no client would.
type Frames struct {
	*http2.Framer
	Conn *tls.Conn
	host string
}

// Frames opens a connection for a listed host, with these settings of the client's.
func (p *Certproxy) Frames(host string, conf *tls.Config, settings ...http2.Setting) (*Frames, error) {
	conf = conf.Clone()
	conf.NextProtos = []string{"h2"}
	c, err := p.Secure(host, conf)
	if err != nil {
		return nil, err
	}
	f := &Frames{http2.NewFramer(c, c), c, host}
	f.AllowIllegalWrites = true
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		return nil, err
	}
	return f, f.WriteSettings(settings...)
}

// Fields are the fields of a GET, as HPACK has them, with more behind.
func (f *Frames) Fields(path string, more ...hpack.HeaderField) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	e.SetMaxDynamicTableSizeLimit(0) // each block by itself
	for _, field := range append([]hpack.HeaderField{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"},
		{Name: ":authority", Value: f.host}, {Name: ":path", Value: path}}, more...) {
		_ = e.WriteField(field) // to memory
	}
	return b.Bytes()
}

// Get asks for a path, on a stream of its own (an odd number).
func (f *Frames) Get(stream uint32, path string) error {
	return f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: f.Fields(path), EndStream: true, EndHeaders: true})
}

// Drain reads what certproxy sends until it ends the connection, and returns how it did.
func (f *Frames) Drain() string {
	said := ""
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			if said == "" {
				said = "closed"
			}
			return said
		}
		if away, ok := frame.(*http2.GoAwayFrame); ok {
			said = fmt.Sprintf("GOAWAY %v %s", away.ErrCode, away.DebugData())
		}
	}
}

// Within sets a deadline for all that follows.
func (f *Frames) Within(d time.Duration) { _ = f.Conn.SetDeadline(time.Now().Add(d)) }
