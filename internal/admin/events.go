package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/certproxy/certproxy/internal/metrics"
)

const (
	// eventEvery is how often a stream looks for something new.
	eventEvery = time.Second
	// eventWithin is how long a client may take to read an event.
	eventWithin = 5 * time.Second
	// aliveEvery is after how long without news a stream says that it is alive.
	aliveEvery = 15 * time.Second
)

// A tick is what an event says: the live numbers, and whether it is worth asking for the
// rest again.
type tick struct {
	Open     Open           `json:"open"`
	Totals   metrics.Totals `json:"totals"`
	Index    uint64         `json:"index"`    // changes with certs.d
	Requests uint64         `json:"requests"` // changes with the list of recent requests
}

// serveEvents is a stream of server-sent events: one at once, and then one whenever
// something has changed.
func (h *Handler) serveEvents(w http.ResponseWriter, r *http.Request) {
	select {
	case h.streams <- struct{}{}:
		defer func() { <-h.streams }()
	default:
		w.Header().Set("Retry-After", "30")
		plain(w, http.StatusServiceUnavailable, fmt.Sprintf("there are %d event streams already, and no more are served; close some of the pages", cap(h.streams)))
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	_ = out.SetReadDeadline(time.Time{}) // so that the client's leaving ends it, and nothing else
	if r.Method == http.MethodHead {
		return
	}
	every := time.NewTicker(eventEvery)
	defer every.Stop()
	var last []byte
	said := time.Time{}
	for {
		event, _ := json.Marshal(tick{ // numbers always marshal
			Open: open(h.config.Stats()), Totals: h.config.Metrics.Totals(), Index: h.seen.of(h.config.Index()), Requests: h.config.Recent.count(),
		})
		var err error
		switch {
		case !bytes.Equal(event, last):
			last = event
			err = say(w, out, "data: %s\n\n", event)
			said = time.Now()
		case time.Since(said) >= aliveEvery:
			err = say(w, out, ":\n\n")
			said = time.Now()
		}
		if err != nil {
			return
		}
		select {
		case <-every.C:
		case <-r.Context().Done():
			return
		}
	}
}

func say(w http.ResponseWriter, out *http.ResponseController, format string, args ...any) error {
	_ = out.SetWriteDeadline(time.Now().Add(eventWithin))
	if _, err := fmt.Fprintf(w, format, args...); err != nil {
		return err
	}
	return out.Flush()
}
