package proxy

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/certproxy/certproxy/internal/upstreamproxy"
)

// newPseudonym returns the name by which this proxy calls itself in Via (RFC 9110
// section 7.6.3). It is another one for each process, so that one certproxy behind
// another is no loop.
func newPseudonym() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return "certproxy-" + hex.EncodeToString(b[:])
}

// Reroute sets what hosts are reached through: see [upstreamproxy.Config.URL]. Connections
// that are in use go on, and carry nothing after what they carry now; kept ones are
// closed. After an error all is as before.
func (p *Proxy) Reroute(url string) error {
	route, err := p.newRoute(url)
	if err != nil {
		return err
	}
	p.dialer.route.Store(route)
	p.upstreams.refresh(p.config.Index)
	return nil
}

func (p *Proxy) newRoute(url string) (*upstreamproxy.Dialer, error) {
	return upstreamproxy.New(upstreamproxy.Config{
		URL: url, Getenv: p.config.Getenv, Dial: p.dialer.dial, RootCAs: p.config.SystemRoots, Via: "1.1 " + p.pseudonym,
	})
}

// loops returns the refusal of a request that has been here already.
func (p *Proxy) loops(r *http.Request) *refusal {
	for _, list := range r.Header["Via"] {
		for entry := range strings.SplitSeq(list, ",") {
			if fields := strings.Fields(entry); len(fields) > 1 && fields[1] == p.pseudonym {
				return &refusal{status: http.StatusLoopDetected, kind: "proxy_loop_detected",
					text: "the request came back to this proxy",
					hint: "a proxy behind this one leads to it: look at upstream_proxy or HTTPS_PROXY here, and at that proxy's own"}
			}
		}
	}
	return nil
}
