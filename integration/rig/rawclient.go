package rig

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// Dial connects to certproxy. A connection that is still open after twice the
// [Patience] gives its reader an error.
func (p *Certproxy) Dial() (net.Conn, error) {
	c, err := net.Dial("tcp4", p.Addr)
	if err == nil {
		c.SetDeadline(time.Now().Add(2 * Patience))
	}
	return c, err
}

// Connect is CONNECT, answered 200.
func (p *Certproxy) Connect(authority string) (net.Conn, error) {
	c, err := p.Dial()
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", authority, authority); err != nil {
		c.Close()
		return nil, err
	}
	// The buffer loses nothing: nothing comes behind the answer before we say more.
	answer, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: http.MethodConnect})
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("CONNECT %s: %s", authority, answer.Status)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	answer.Body.Close()
	return c, nil
}

// Secure is a TLS connection that certproxy terminates for a listed host.
func (p *Certproxy) Secure(authority string, conf *tls.Config) (*tls.Conn, error) {
	c, err := p.Connect(authority)
	if err != nil {
		return nil, err
	}
	conf = conf.Clone()
	conf.ServerName = authority[:strings.LastIndex(authority, ":")]
	s := tls.Client(c, conf)
	if err := s.Handshake(); err != nil {
		c.Close()
		return nil, err
	}
	return s, nil
}
