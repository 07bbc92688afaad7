package http1

import (
	"net/http"
	"testing"
)

func TestAPanicIsToldAndEndsItsConnectionAlone(t *testing.T) {
	caught := make(chan any, 1)
	r := start(t, func(_ http.ResponseWriter, req *http.Request) {
		switch req.URL.Path {
		case "/panic":
			panic("test")
		case "/abort":
			panic(http.ErrAbortHandler)
		}
	}, func(s *Server) { s.Panicked = func(v any) { caught <- v } })
	other := r.dial(false)
	other.ask(get)
	for _, path := range []string{"/panic", "/abort"} {
		c := r.dial(false)
		c.send("GET ", path, " HTTP/1.1\r\nHost: x\r\n\r\n")
		c.closed()
	}
	if v := within(t, "a panic", caught); v != "test" || len(caught) > 0 {
		t.Errorf("told %v, and %d more", v, len(caught))
	}
	if got := other.ask(get); got.StatusCode != 200 {
		t.Error(got.Status)
	}
}
