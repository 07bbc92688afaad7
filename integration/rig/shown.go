package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// shown is all that the admin listener has to show, but for what is not for a reader
// (profiles in their own format are not: debug=1 is the same in words).
func shown() []string {
	return []string{
		"/", "/?q=hush", "/api/status", "/events", "/metrics", "/healthz", "/readyz",
		"/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=1", "/debug/pprof/goroutine?debug=2",
		"/debug/pprof/heap?debug=1", "/debug/pprof/allocs?debug=1", "/debug/pprof/block?debug=1", "/debug/pprof/mutex?debug=1",
		"/debug/pprof/threadcreate?debug=1", "/nothing?access_token=" + MarkQuery,
	}
}

// keepsSecrets reads every page of a running certproxy, and fails the test where one has
// something of the secrets.
func (p *Certproxy) keepsSecrets(t testing.TB, secrets *Secrets) {
	t.Helper()
	client := p.adminClient()
	if client == nil {
		return
	}
	defer client.CloseIdleConnections()
	for _, page := range shown() {
		text, err := read(client, "http://localhost"+page)
		if err != nil {
			select {
			case <-p.done: // the test has stopped it, or lets it end just now
			default:
				t.Errorf("certproxy's page %s cannot be read: %v", page, err)
			}
			return
		}
		for _, found := range secrets.In(text) {
			t.Errorf("certproxy's page %s has %s", page, found)
		}
	}
}

// adminClient reaches the admin listener, where there is one.
func (p *Certproxy) adminClient() *http.Client {
	at := p.Lines("admin listener")
	if len(at) == 0 {
		return nil
	}
	network, address := "tcp", at[len(at)-1].Text("addr")
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
	}
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}}
}

// read returns a page, header and all, whatever its status. Of one that never ends it is
// what comes at once.
func read(client *http.Client, url string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	for name, value := range markedFields() {
		r.Header.Set(name, value)
	}
	answer, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	if answer.Header.Get("Content-Type") == "text/event-stream" {
		time.AfterFunc(50*time.Millisecond, cancel)
	}
	var text bytes.Buffer
	if err := answer.Header.Write(&text); err != nil {
		return "", err
	}
	_, err = io.Copy(&text, answer.Body)
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return text.String(), err
}

// addKeys adds the private keys that certproxy can read: those in its root, in its state,
// and in what its arguments and its configuration name.
func (p *Certproxy) addKeys(secrets *Secrets, o Options, state string) {
	paths := []string{o.Certs, state}
	for _, word := range slices.Concat(o.Args, strings.Fields(o.Config)) {
		if strings.HasPrefix(word, "/") {
			paths = append(paths, word)
		}
	}
	for _, path := range paths {
		secrets.AddKeysBelow(fmt.Sprintf("/proc/%d/root%s", p.PID(), path)) // as it sees them
		secrets.AddKeysBelow(path)
	}
}
