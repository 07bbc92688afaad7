package proxy

import "time"

// HostSettings are what an operator can decide for one host. The zero value turns
// off all it can; [DefaultHostSettings] is what holds where nothing is said.
type HostSettings struct {
	// ConnectTimeout bounds each connection's making, name resolution included.
	ConnectTimeout time.Duration
	// AttemptTimeout bounds how long the host may keep a request waiting until it
	// answers, over all attempts together; time in which a body moves does not
	// count. Zero waits for ever.
	AttemptTimeout time.Duration
	// StreamIdleTimeout bounds how long no byte of a body may move in either direction,
	// from when the request's begins to be sent, or the header of the answer has come, until
	// the exchange ends. The name and the meaning are Envoy's (stream_idle_timeout of its
	// HTTP connection manager). Zero waits for ever.
	StreamIdleTimeout time.Duration
	// ReplayLimit is how many bytes of a request's body are kept so that another
	// pair can be tried.
	ReplayLimit int64
	// PairMemory is how long an outcome decides about the order of pairs.
	PairMemory time.Duration
	// Fallback are the statuses that move on to the next pair.
	Fallback Statuses
	// Renegotiation speaks TLS 1.2 and answers one renegotiation per connection, in
	// which the server asks for the certificate after it has seen the request
	// (Apache's SSLVerifyClient inside <Location>).
	Renegotiation bool
}

// DefaultHostSettings returns the settings of a host about which nothing is said.
func DefaultHostSettings() HostSettings {
	return HostSettings{
		ConnectTimeout:    10 * time.Second,
		AttemptTimeout:    5 * time.Minute,
		StreamIdleTimeout: time.Hour,
		ReplayLimit:       1 << 30,
		PairMemory:        time.Minute,
		Fallback:          documented{},
	}
}

// Statuses are a set of HTTP statuses, as a value that can be compared.
type Statuses interface{ Has(status int) bool }

// documented are the statuses of Docker's documentation, and 495 and 496, by which
// nginx and those who copied it name certificates.
type documented struct{}

func (documented) Has(status int) bool {
	return status == 403 || status == 404 || status == 495 || status == 496 || status >= 500 && status <= 599
}
