package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"go.uber.org/zap/zapcore"

	"github.com/certproxy/certproxy/proxy"
)

// refusals remember what the proxy refused, and which hosts refused every pair, so
// that one line can say why a command failed.
type refusals struct {
	quiet bool // keep them out of the log

	mu    sync.Mutex
	list  []string          // host, cause and hint, each once, the latest last
	tried map[string]*tried // by host: the pairs refused since the last success
}

// core returns a zapcore.Core that notes refusals on their way to the log.
func (r *refusals) core(next zapcore.Core) zapcore.Core { return &refusalCore{Core: next, notes: r} }

// summary says the last refusal, which is the nearest to the command's failure; empty
// for none.
func (r *refusals) summary() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.list) == 0 {
		return ""
	}
	last := r.list[len(r.list)-1]
	if others := len(r.list) - 1; others > 0 {
		noun := "refusal"
		if others > 1 {
			noun += "s"
		}
		last += fmt.Sprintf(" (and %d other %s before; --log-level warn shows each)", others, noun)
	}
	return last
}

// maxRefusals bounds what is remembered: the command may be a shell that runs for days.
const maxRefusals = 100

func (r *refusals) note(host, cause, hint string) {
	text := cause
	if host != "" && !strings.Contains(cause, host) {
		text = host + ": " + cause
	}
	if hint != "" {
		text += "; " + hint
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(slices.DeleteFunc(r.list, func(s string) bool { return s == text }), text)
	if len(r.list) > maxRefusals {
		r.list = slices.Delete(r.list, 0, 1)
	}
}

// tried are the pairs that a host refused.
type tried struct {
	outcomes []string // "pair: outcome", each pair once
	answered bool     // one by an answer, which is the command's to see
}

// attempted is told of each attempt. An answer that a server gave to every pair is no
// refusal of ours, but it is why the command failed. Where there was none, the proxy
// refuses by itself, and says so in the log.
func (r *refusals) attempted(a proxy.Attempt) {
	if all := r.add(a); all != "" {
		r.note(a.Host, a.Host+" accepted no client certificate ("+all+")", "certproxy list shows its pairs")
	}
}

// add returns all outcomes of a host whose answer is that to the last of its pairs.
func (r *refusals) add(a proxy.Attempt) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a.Then == "answer" {
		delete(r.tried, a.Host)
		return ""
	}
	if a.Verdict != "refused" && a.Verdict != "rejected" && a.Verdict != "dropped" {
		return ""
	}
	t := r.tried[a.Host]
	if t == nil {
		t = &tried{}
		if r.tried == nil {
			r.tried = map[string]*tried{}
		}
		r.tried[a.Host] = t
	}
	t.outcomes = append(slices.DeleteFunc(t.outcomes, func(s string) bool { return strings.HasPrefix(s, a.Pair+": ") }), a.Pair+": "+a.Outcome)
	t.answered = t.answered || a.Verdict == "refused"
	if a.Then != "choose" && a.Then != "stop" {
		return ""
	}
	delete(r.tried, a.Host)
	if !t.answered {
		return ""
	}
	return strings.Join(t.outcomes, "; ")
}

// isRefusal reports whether a log line is about something refused.
func isRefusal(message string) bool {
	switch message {
	case "connect refused", "request refused", "tunnel refused", "client handshake failed", "the server refused without asking for a certificate":
		return true
	}
	return false
}

// A refusalCore is a zapcore.Core that notes refusals, and keeps them to itself if the
// log is not to have them.
type refusalCore struct {
	zapcore.Core
	notes *refusals
}

// Enabled implements zapcore.LevelEnabler: refusals are noted whatever the log's level is.
func (c *refusalCore) Enabled(level zapcore.Level) bool {
	return level == zapcore.WarnLevel || c.Core.Enabled(level)
}

// With implements zapcore.Core.
func (c *refusalCore) With(fields []zapcore.Field) zapcore.Core {
	return &refusalCore{Core: c.Core.With(fields), notes: c.notes}
}

// Check implements zapcore.Core.
func (c *refusalCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if isRefusal(entry.Message) {
		return checked.AddCore(entry, c)
	}
	return c.Core.Check(entry, checked)
}

// Write implements zapcore.Core. Only refusals come here.
func (c *refusalCore) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	values := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(values)
	}
	text := func(key string) string { s, _ := values.Fields[key].(string); return s }
	cause, hint := text("reason"), text("hint")
	switch {
	case cause == "":
		cause = entry.Message
	case entry.Message == "client handshake failed":
		cause = "the command ended TLS with the proxy (" + cause + ")"
		hint = "if it has a setting of its own for the CAs to trust, have that name the file in $SSL_CERT_FILE, which certproxy exec sets"
	}
	c.notes.note(text("host"), cause, hint)
	if c.notes.quiet || !c.Core.Enabled(entry.Level) {
		return nil
	}
	return c.Core.Write(entry, fields)
}
