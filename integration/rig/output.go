package rig

import (
	"bytes"
	"encoding/json"
	"sync"
)

// An output collects what a daemon prints.
type output struct {
	mu   sync.Mutex
	data bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.data.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.data.String()
}

// A Line is one JSON log line.
type Line map[string]any

// Text returns the named field if it is a string, else "".
func (l Line) Text(name string) string {
	s, _ := l[name].(string)
	return s
}

// Number returns the named field if it is a number, else -1.
func (l Line) Number(name string) int64 {
	n, ok := l[name].(float64)
	if !ok {
		return -1
	}
	return int64(n)
}

// lines returns the JSON lines with this message, or all if it is "". Other output
// is skipped.
func (o *output) lines(msg string) []Line {
	var found []Line
	for raw := range bytes.Lines([]byte(o.String())) {
		var line Line
		if json.Unmarshal(raw, &line) == nil && (msg == "" || line.Text("msg") == msg) {
			found = append(found, line)
		}
	}
	return found
}
