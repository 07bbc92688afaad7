package http1

import (
	"fmt"
	"net/http"
)

// A Malformed says why a request was not understood, and what its sender has to do.
// It holds nothing of the request but names of fields.
type Malformed struct {
	Status int    // to answer with
	Reason string // lower case, about the request
	Hint   string
}

func (m *Malformed) Error() string { return m.Reason }

func malformed(reason string) *Malformed {
	return &Malformed{Status: http.StatusBadRequest, Reason: reason,
		Hint: "send it as RFC 9112 has it; what can be read in two ways is not passed on"}
}

func tooLarge(most int) *Malformed {
	return &Malformed{Status: http.StatusRequestHeaderFieldsTooLarge,
		Reason: fmt.Sprintf("its header is larger than %d bytes", most), Hint: "send fewer or shorter fields"}
}

func tooMany() *Malformed {
	return &Malformed{Status: http.StatusRequestHeaderFieldsTooLarge,
		Reason: fmt.Sprintf("its header has more than %d fields", maxFields), Hint: "send fewer fields"}
}

func tooSlow() *Malformed {
	return &Malformed{Status: http.StatusRequestTimeout, Reason: "its header did not come in time", Hint: "send it at once"}
}
