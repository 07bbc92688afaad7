package proxy

import (
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A stall ends an exchange of which no byte of a body has moved, in either direction, for
// the time of stream_idle_timeout. A deadline of a connection could not: of a stream, one
// direction may rightly be silent for as long as it lasts.
//
// It looks at the exchange each quarter of that time, on its timer's goroutine, which stop
// waits for: what is over before costs the setting of a timer. A nil stall never ends
// anything.
type stall struct {
	limit  time.Duration
	began  time.Time
	client http.ResponseWriter
	conn   net.Conn // the client's; nil where it is not known
	shared bool     // others' streams are on it: HTTP/2
	body   *replay  // set before the timer is

	moved    atomic.Int64 // when a byte moved last, as nanoseconds after began
	unsent   atomic.Bool  // the body has begun to be sent, and has not been sent whole
	answered atomic.Bool  // the header of the answer has come
	writing  atomic.Bool  // the client is being written to

	mu      sync.Mutex
	timer   *time.Timer
	over    bool
	host    stallable // carries the request, and its answer; nil while nothing does
	why     stopped
	counted carried // as the kernel had it at the last look
}

// A stallable can be given up by another goroutine than its own.
type stallable interface{ giveUp() }

// stopped says who has stopped; the zero value is nobody.
type stopped int

const (
	nobody stopped = iota
	hostSending
	bothSending
	hostTaking
	clientReading
	clientSending
)

// errStalled is why an attempt ended that a stall has given up.
var errStalled = errors.New("no byte of a body has moved for stream_idle_timeout")

const (
	// stallLooks is how often a stall looks while one passes: between two looks, what
	// only the kernel sees moving can be noticed.
	stallLooks = 4
	// stallGrace is how long an exchange may take to end after it was told to.
	stallGrace = 5 * time.Second
)

// setUp makes s one of an exchange whose answer is written to w, or returns nil where no
// limit is set. conn is the client's connection, or nil.
func (s *stall) setUp(limit time.Duration, w http.ResponseWriter, conn net.Conn, shared bool) *stall {
	if limit <= 0 {
		return nil
	}
	s.limit, s.began, s.client, s.conn, s.shared = limit, time.Now(), w, conn, shared
	return s
}

// start begins to look at an exchange with this body.
func (s *stall) start(body *replay) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.body = body
	s.timer = time.AfterFunc(s.limit/stallLooks, s.look)
}

// stop ends it, and waits for a look that is under way.
func (s *stall) stop() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over, s.host = true, nil
	if s.timer != nil {
		s.timer.Stop()
	}
}

// move notes that a byte has moved, or that its time begins now.
func (s *stall) move() {
	if s != nil {
		s.moved.Store(int64(time.Since(s.began)))
	}
}

// sends notes that a piece of the body is wanted, for the one before was taken.
func (s *stall) sends() {
	if s != nil {
		s.move()
		s.unsent.Store(true)
	}
}

// sent notes that nothing of the body is left to be sent, or to be sent any more.
func (s *stall) sent() {
	if s != nil {
		s.unsent.Store(false)
	}
}

// answers notes that the header of the answer has come.
func (s *stall) answers() {
	if s != nil {
		s.move()
		s.answered.Store(true)
	}
}

// writes notes that something is being written to the client, until wrote is called.
func (s *stall) writes() {
	if s == nil {
		return
	}
	if !s.answered.Load() { // its time was not running
		s.move()
	}
	s.writing.Store(true)
}

func (s *stall) wrote() {
	if s != nil {
		s.writing.Store(false)
		s.move()
	}
}

// carriedBy says what carries the request now.
func (s *stall) carriedBy(host stallable) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.host = host
	s.counted = carried{}
}

// leaves says that it does not any more: its connection may be another request's.
func (s *stall) leaves(host stallable) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.host == host {
		s.host = nil
	}
}

// ended returns who has stopped, if the exchange was ended for that.
func (s *stall) ended() stopped {
	if s == nil {
		return nobody
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.why
}

// look ends the exchange if its time is over.
func (s *stall) look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	if s.why != nobody {
		s.insist()
		return
	}
	step := max(s.limit/stallLooks, time.Millisecond)
	if !s.running() {
		s.timer.Reset(step)
		return
	}
	s.count()
	left := s.limit - (time.Since(s.began) - time.Duration(s.moved.Load()))
	if left > 0 {
		s.timer.Reset(min(step, left))
		return
	}
	s.end()
	s.timer.Reset(stallGrace)
}

// running reports whether bytes of a body should move: not while the host thinks about
// its answer, for which attempt_timeout is.
func (s *stall) running() bool {
	return s.unsent.Load() || s.answered.Load() || s.writing.Load()
}

// count asks the kernel whether bytes have moved that the exchange cannot see yet: those of
// a large write that a slow peer takes little by little, or of a record of TLS that has not
// come whole. Where the connections are the exchange's alone it can be asked.
func (s *stall) count() {
	if s.shared {
		return
	}
	now := carried{at: time.Since(s.began)}
	now.add(s.conn)
	if h1, ok := s.host.(*sending); ok {
		now.add(h1.conn.raw)
	}
	// Since the last look nothing was seen, so what the kernel has moved is since then.
	if s.counted.at > time.Duration(s.moved.Load()) && now.bytes != s.counted.bytes {
		s.move()
	}
	s.counted = now
}

// A carried is what the kernel has moved.
type carried struct {
	at    time.Duration // when it was looked at
	bytes uint64        // acknowledged by peers, or received from them
}

func (c *carried) add(conn net.Conn) {
	for {
		over, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		conn = over.NetConn()
	}
	if conn != nil {
		c.bytes += bytesCarried(conn)
	}
}

// passed makes a read or a write that waits return at once.
func passed() time.Time { return time.Unix(1, 0) }

// end makes the wait return that the exchange is in. The caller holds mu.
func (s *stall) end() {
	waitsForClient := s.body != nil && s.body.waitsForClient()
	switch {
	case s.writing.Load():
		s.why = clientReading
		_ = http.NewResponseController(s.client).SetWriteDeadline(passed())
	case s.answered.Load():
		s.why = hostSending
		if waitsForClient && s.unsent.Load() {
			s.why = bothSending
		}
		s.giveUpHost()
	case waitsForClient:
		s.why = clientSending
		_ = http.NewResponseController(s.client).SetReadDeadline(passed())
	default:
		s.why = hostTaking
		s.giveUpHost()
	}
}

func (s *stall) giveUpHost() {
	if s.host != nil {
		s.host.giveUp()
	}
}

// insist is for an exchange that did not end: it waits for something else by now, or a
// client of HTTP/2 does not even take the frame that ends its stream. Its connection is
// ended then, with the streams of others, which cannot move either.
func (s *stall) insist() {
	s.giveUpHost()
	_ = http.NewResponseController(s.client).SetReadDeadline(passed())
	_ = http.NewResponseController(s.client).SetWriteDeadline(passed())
	if s.shared && s.conn != nil {
		now := carried{at: time.Since(s.began)}
		now.add(s.conn)
		if s.counted.at > 0 && now.bytes == s.counted.bytes {
			_ = s.conn.Close()
		}
		s.counted = now
	}
	s.timer.Reset(stallGrace)
}
