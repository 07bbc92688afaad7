package admin

import (
	"sync"
	"time"

	"github.com/certproxy/certproxy/proxy"
)

// A Recent keeps the last requests and tunnels. It is told of all of them, on the
// goroutines that serve them: it takes a lock for as long as a copy takes.
type Recent struct {
	mu     sync.Mutex
	ring   []entry
	next   int
	number uint64 // of all there ever were
}

// An entry is one of two.
type entry struct {
	request proxy.RequestEnd
	tunnel  *proxy.TunnelEnd
}

// NewRecent returns one that keeps so many.
func NewRecent(most int) *Recent { return &Recent{ring: make([]entry, 0, most)} }

// RequestEnded notes a request.
func (r *Recent) RequestEnded(e proxy.RequestEnd) { r.add(entry{request: e}) }

// TunnelEnded notes a tunnel.
func (r *Recent) TunnelEnded(e proxy.TunnelEnd) { r.add(entry{tunnel: &e}) }

func (r *Recent) add(e entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.number++
	if len(r.ring) < cap(r.ring) {
		r.ring = append(r.ring, e)
		return
	}
	r.ring[r.next] = e
	r.next = (r.next + 1) % len(r.ring)
}

func (r *Recent) count() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.number
}

// A Request is one of the last requests or tunnels. The field names are a promise to
// programs.
type Request struct {
	Time     time.Time `json:"time"` // of its end
	Client   string    `json:"client,omitempty"`
	UID      *uint32   `json:"uid,omitempty"`
	Method   string    `json:"method,omitempty"` // CONNECT for a tunnel
	Host     string    `json:"host,omitempty"`
	Path     string    `json:"path,omitempty"` // without its query
	Status   int       `json:"status,omitempty"`
	Ending   string    `json:"ending"` // served, refused, canceled, broken; tunneled for a tunnel
	Pair     string    `json:"pair,omitempty"`
	Attempts int       `json:"attempts,omitempty"`
	BytesIn  int64     `json:"bytes_in"`
	BytesOut int64     `json:"bytes_out"`
	Seconds  float64   `json:"duration"`
	Reason   string    `json:"reason,omitempty"`
	Hint     string    `json:"hint,omitempty"`
}

// list returns them, the last first.
func (r *Recent) list() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]Request, 0, len(r.ring))
	for i := range r.ring {
		out = append(out, r.ring[(r.next+len(r.ring)-1-i)%len(r.ring)].told())
	}
	return out
}

func (e *entry) told() Request {
	if t := e.tunnel; t != nil {
		out := Request{Time: t.Began.Add(t.Duration), Method: "CONNECT", Host: t.Host, Ending: "tunneled",
			BytesIn: t.BytesIn, BytesOut: t.BytesOut, Seconds: t.Duration.Seconds(), Reason: t.Broken}
		return out.of(t.Client)
	}
	q := &e.request
	out := Request{Time: q.Began.Add(q.Duration), Method: q.Method, Host: q.Host, Path: q.Path, Status: q.Status, Ending: string(q.Ending),
		Pair: q.Pair, Attempts: q.Attempts, BytesIn: q.BytesIn, BytesOut: q.BytesOut, Seconds: q.Duration.Seconds(), Reason: q.Reason, Hint: q.Hint}
	return out.of(q.Client)
}

func (r Request) of(c proxy.Client) Request {
	r.Client = c.Addr
	if c.HasUID {
		r.UID = &c.UID
	}
	return r
}
