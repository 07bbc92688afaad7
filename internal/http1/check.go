package http1

import (
	"bytes"
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"
)

const (
	// maxFields is how many fields a request may have.
	maxFields = 2000
	// maxEmpty is how many empty lines may be in front of it.
	maxEmpty = 8
)

// facts are what the raw header says and net/http does not tell.
type facts struct{ cacheControl bool }

// addedCacheControl reports whether net/http has made up the Cache-Control, as it
// does for a Pragma.
func (f facts) addedCacheControl(h http.Header) bool {
	return !f.cacheControl && h["Pragma"] != nil && h["Cache-Control"] != nil
}

// emptyLine returns the length of an empty line in front of a request, which is passed
// over (RFC 9112 section 2.2).
func emptyLine(b []byte) int {
	if bytes.HasPrefix(b, []byte("\r\n")) {
		return 2
	}
	return 0
}

// checkBegun refuses the beginning of a header that no further bytes can mend. It has
// seen some of it before.
func checkBegun(b []byte, seen int) *Malformed {
	if seen == 0 && len(b) > 0 && b[0] != '\r' && !httpguts.IsTokenRune(rune(b[0])) {
		return malformed("it begins with a character that none may have") // TLS, most often
	}
	for at := seen; ; {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			return nil
		}
		if at += i; at == 0 || b[at-1] != '\r' {
			return malformed("a line of its header ends without a carriage return")
		}
		at++
	}
}

// check holds a whole header against RFC 9112: what two readers could take for two
// different requests is refused (its section 11.2). The header ends with an empty line.
func check(block []byte) (facts, *Malformed) {
	var f facts
	if why := checkBegun(block, 0); why != nil {
		return f, why
	}
	block = block[:len(block)-2]
	line, fields, _ := bytes.Cut(block, []byte("\r\n"))
	connect := bytes.HasPrefix(line, []byte("CONNECT ")) // its target says it all
	old, why := checkRequestLine(line)
	if why != nil {
		return f, why
	}
	var hosts, lengths, codings int
	for n := 0; len(fields) > 0; n++ {
		if n == maxFields {
			return f, tooMany()
		}
		var field []byte
		field, fields, _ = bytes.Cut(fields, []byte("\r\n"))
		name, value, why := checkField(field)
		if why != nil {
			return f, why
		}
		switch len(name) {
		case len("Host"):
			if hosts += is(name, "Host"); is(name, "Host") == 1 && !httpguts.ValidHostHeader(string(value)) {
				return f, malformed("its Host is none")
			}
		case len("Content-Length"):
			if lengths += is(name, "Content-Length"); is(name, "Content-Length") == 1 && !digits(value) {
				return f, malformed("its Content-Length is not a number")
			}
		case len("Cache-Control"):
			f.cacheControl = f.cacheControl || is(name, "Cache-Control") == 1
		case len("Transfer-Encoding"):
			if codings += is(name, "Transfer-Encoding"); is(name, "Transfer-Encoding") == 1 && is(value, "chunked") == 0 {
				return f, &Malformed{Status: http.StatusNotImplemented, Reason: "its Transfer-Encoding is not chunked",
					Hint: "send the body chunked or with a Content-Length"}
			}
		}
	}
	switch {
	case hosts == 0 && !old && !connect:
		return f, malformed("it has no Host")
	case hosts > 1:
		return f, malformed("it has more than one Host")
	case lengths > 1:
		return f, malformed("it has more than one Content-Length")
	case codings > 1:
		return f, malformed("it has more than one Transfer-Encoding")
	case codings > 0 && lengths > 0:
		return f, malformed("it has both a Transfer-Encoding and a Content-Length")
	case codings > 0 && old:
		return f, malformed("it has a Transfer-Encoding in HTTP/1.0, which knows none")
	}
	return f, nil
}

// checkRequestLine checks "METHOD target HTTP/1.x", and tells whether that is HTTP/1.0.
func checkRequestLine(line []byte) (old bool, why *Malformed) {
	_, rest, ok := bytes.Cut(line, []byte(" "))
	target, version, ok2 := bytes.Cut(rest, []byte(" "))
	if !ok || !ok2 || len(target) == 0 {
		return false, malformed("its first line is not METHOD TARGET HTTP/1.1")
	}
	for _, c := range target {
		if c <= ' ' || c == 0x7f {
			return false, malformed("its target has a control character")
		}
	}
	switch {
	case string(version) == "HTTP/1.1":
		return false, nil
	case string(version) == "HTTP/1.0":
		return true, nil
	case len(version) == len("HTTP/1.1") && bytes.HasPrefix(version, []byte("HTTP/")) && digits(version[5:6]) && version[6] == '.' && digits(version[7:]):
		return false, &Malformed{Status: http.StatusHTTPVersionNotSupported, Reason: "its version is neither HTTP/1.1 nor HTTP/1.0",
			Hint: "HTTP/2 is negotiated by ALPN, inside TLS"}
	}
	return false, malformed("its first line is not METHOD TARGET HTTP/1.1")
}

// checkField checks "Name: value" (RFC 9112 section 5).
func checkField(field []byte) (name, value []byte, why *Malformed) {
	if field[0] == ' ' || field[0] == '\t' {
		return nil, nil, malformed("a field of its header goes on in a second line")
	}
	colon := bytes.IndexByte(field, ':')
	if colon <= 0 {
		return nil, nil, malformed("a line of its header has no field name")
	}
	name, value = field[:colon], field[colon+1:]
	for _, c := range name {
		if !httpguts.IsTokenRune(rune(c)) {
			return nil, nil, malformed("a field name of its header has a character that none may have")
		}
	}
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return nil, nil, malformed("a field of its header has a control character")
		}
	}
	return name, bytes.Trim(value, " \t"), nil
}

// is returns 1 if a word is the ASCII one that is given, in whatever case, and 0 otherwise.
func is(word []byte, known string) int {
	if len(word) == len(known) && strings.EqualFold(string(word), known) { // of the same length: in Unicode, more letters are a k
		return 1
	}
	return 0
}

// isFraming reports whether a field, its name in canonical form, frames a message or
// routes it: it must not come as a trailer (RFC 9110 section 6.5.1).
func isFraming(name string) bool {
	switch name {
	case "Content-Length", "Transfer-Encoding", "Trailer", "Host":
		return true
	}
	return false
}

func digits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(b) > 0
}

// checkRequest checks what is easier to see once it is parsed.
func checkRequest(r *http.Request) *Malformed {
	host, expect := r.Host, r.Header["Expect"]
	switch {
	case host != "" && !httpguts.ValidHostHeader(host):
		return malformed("its Host is none")
	case len(expect) > 1 || len(expect) == 1 && !strings.EqualFold(expect[0], "100-continue"):
		return &Malformed{Status: http.StatusExpectationFailed, Reason: "its Expect is not 100-continue", Hint: "send none other"}
	}
	return nil
}
