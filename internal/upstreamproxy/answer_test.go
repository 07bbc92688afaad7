package upstreamproxy

import (
	"bytes"
	"strings"
	"testing"
)

// Whatever a proxy says, a yes ends with the first empty line behind it, and what
// follows is left to the tunnel.
func FuzzAnAnswerLeavesWhatFollows(f *testing.F) {
	for _, seed := range []string{
		yes, yes + "hello", "HTTP/1.0 200 OK\n\nhello", "HTTP/1.1 100 Continue\r\n\r\n" + yes + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "HTTP/1.1 200 OK\r\r\n\r\r\n", "HTTP/1.1 403 No\r\n\r\n", "HTTP/2.0 2", "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		r := bytes.NewReader(sent)
		a, err := readAnswer(r)
		if err != nil {
			return
		}
		read := sent[:len(sent)-r.Len()]
		if a.code < 101 || a.code > 999 || len(read) > largestHeader {
			t.Fatalf("%d bytes are an answer with status %d", len(read), a.code)
		}
		lines := strings.Split(strings.TrimSuffix(string(read), "\n"), "\n")
		if last := strings.Trim(lines[len(lines)-1], "\r"); last != "" || !bytes.HasSuffix(read, []byte("\n")) {
			t.Fatalf("read %q, which does not end with an empty line", read)
		}
		// No empty line before, but those of 1xx answers.
		for i, line := range lines[:len(lines)-1] {
			if strings.Trim(line, "\r") == "" && !strings.HasPrefix(lines[i+1], "HTTP/") {
				t.Fatalf("read %q, which goes on behind its empty line", read)
			}
		}
	})
}
