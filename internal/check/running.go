package check

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/shell"
)

var errNoDial = errors.New("nothing is dialled here")

func noDial(context.Context, string, string) (net.Conn, error) { return nil, errNoDial }

// lookForProxy connects to where the proxy is expected.
func (r *run) lookForProxy(ctx context.Context) {
	expected := r.Listeners
	if at := loopbackProxy(r.Proxy.Getenv); at != "" {
		expected = append(expected[:len(expected):len(expected)], at)
	}
	seen := map[string]bool{}
	var missing []Finding
	for _, addr := range expected {
		if seen[addr] {
			continue
		}
		seen[addr] = true
		what, err := r.isCertproxy(ctx, addr)
		switch {
		case err == nil && what == "":
			r.proxies = append(r.proxies, addr)
			r.report.add(rankProxy, Finding{Level: OK, About: addr, Text: "a certproxy is running here"})
		case err == nil:
			missing = append(missing, Finding{Level: Error, About: addr, Text: "another program has the proxy's address: it says " + what,
				Fix: whose(addr), Advice: "that shows which; or choose another address: certproxy serve --listen 127.0.0.1:3129"})
		default:
			text := "no proxy is running: connections are refused"
			if errors.Is(err, fs.ErrNotExist) {
				text = "no proxy is running: there is no such socket"
			} else if !errors.Is(err, syscall.ECONNREFUSED) {
				text = "no proxy can be reached: " + dialReason(err)
			}
			missing = append(missing, Finding{Level: Error, About: addr, Text: text, Fix: r.start()})
		}
	}
	if len(r.proxies) == 0 && len(missing) > 0 {
		r.report.add(rankProxy, missing[0]) // others are guesses
	}
}

// whose is the command that shows which program listens at an address.
func whose(addr string) string {
	if _, path, ok := strings.Cut(addr, "unix:"); ok {
		return "ss -lxp | grep -F " + shell.Quote(path)
	}
	return "ss -ltnp 'sport = :" + addr[strings.LastIndexByte(addr, ':')+1:] + "'"
}

// start is how the proxy is started on this machine.
func (r *run) start() string {
	if r.exists("/etc/systemd/system/certproxy.service") || r.exists("/usr/lib/systemd/system/certproxy.service") || r.exists("/lib/systemd/system/certproxy.service") {
		return "sudo systemctl enable --now certproxy"
	}
	return "certproxy serve &"
}

// isCertproxy asks whether a certproxy listens at an address; what is the answer of
// something else. Each of our own answers carries Proxy-Status (RFC 9209).
func (r *run) isCertproxy(ctx context.Context, addr string) (what string, err error) {
	conn, err := r.dialLocal(ctx, addr)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", addr)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return "nothing that is HTTP", nil
	}
	_ = resp.Body.Close()
	if strings.HasPrefix(resp.Header.Get("Proxy-Status"), "certproxy") {
		return "", nil
	}
	what = printable(resp.Status)
	if server := resp.Header.Get("Server"); server != "" {
		what += " (" + printable(server) + ")"
	}
	return what, nil
}

// dialLocal connects within the timeout, which also bounds what is said on it.
func (r *run) dialLocal(ctx context.Context, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	addr, secured := strings.CutPrefix(addr, "tls:")
	network := "tcp"
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, addr = "unix", path
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(r.Timeout))
	if secured {
		// It is asked who it is, and told nothing: a certificate is for those who will.
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}) //nolint:gosec // see above
	}
	return conn, nil
}

// settles is after what time a change of a host directory is in effect in a running proxy,
// which takes a quarter of it. Who pastes a fix and looks again at once need not wait.
const settles = time.Second

// lookThroughProxy does what a client does: it asks the running proxy for the host. The
// proxy may run with other roots, another CA, or not let this user. server is what the host
// itself shows.
func (r *run) lookThroughProxy(ctx context.Context, found *certs.Host, server []*x509.Certificate) {
	if len(r.proxies) == 0 || found == nil || found.Action != certs.Intercept {
		return
	}
	for {
		f := r.throughProxy(ctx, r.proxies[0], found.Dir, server)
		if f == nil {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(min(settles/8, settles-time.Since(r.now))):
		}
		if ctx.Err() != nil || time.Since(r.now) >= settles {
			r.report.add(f.rank, *f)
			return
		}
	}
}

// throughProxy says what is wrong with how a proxy serves the host, or nil.
func (r *run) throughProxy(ctx context.Context, addr, dir string, server []*x509.Certificate) *Finding {
	at := r.Target.Host
	conn, err := r.dialLocal(ctx, addr)
	if err != nil {
		return nil // it answered a moment ago: nothing certain can be said
	}
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", at, at)
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return &Finding{rank: rankProxy, Level: Error, About: addr, Text: "the running proxy gave no answer for " + at + ": " + dialReason(err), Fix: "journalctl -u certproxy -e"}
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		text, advice := ownWords(resp)
		return &Finding{rank: rankProxy, Level: Error, About: addr, Text: "the running proxy refuses: " + text, Advice: advice}
	}
	if shown := r.shownBy(ctx, conn, at); len(shown) > 0 {
		return r.judgeShown(addr, dir, shown, server)
	}
	return nil
}

// shownBy returns the certificates that are shown to a client that was connected to a
// host.
func (r *run) shownBy(ctx context.Context, conn net.Conn, at string) (shown []*x509.Certificate) {
	host, _ := split(at)
	secured := tls.Client(conn, &tls.Config{ServerName: strings.Trim(host, "[]"), MinVersion: tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // it is judged below, and nothing is sent
		VerifyConnection:   func(state tls.ConnectionState) error { shown = state.PeerCertificates; return nil },
	})
	if secured.HandshakeContext(ctx) == nil {
		_ = secured.Close()
	}
	return shown
}

// judgeShown says what is wrong where clients do not see what they should: a certificate of
// the local CA.
func (r *run) judgeShown(addr, dir string, shown, server []*x509.Certificate) *Finding {
	at := r.Target.Host
	f := &Finding{rank: rankProxy, Level: Error, About: addr, Fix: "ps -o pid,user,args -C certproxy", Advice: "compare its --certs and --state with these: certproxy check takes both too"}
	switch {
	case len(server) > 0 && shown[0].Equal(server[0]):
		f.Text = "the running proxy tunnels " + at + ": it does not read " + dir
	case r.authority == nil:
		roots, err := r.systemRoots()
		if err != nil || r.verifies(shown, roots) == nil {
			return nil
		}
		f.rank, f.About, f.Fix, f.Advice = rankTrust, at, r.install("/var/lib/certproxy"), "if the running proxy has another --state, name that"
		f.Text = "the system does not trust the certificate that the running proxy shows (issued by " + printable(shown[0].Issuer.String()) + "): clients say that it is signed by an unknown authority"
	case slices.ContainsFunc(shown, r.ofLocalCA):
		return nil
	default:
		f.Text = "the running proxy does not show a certificate of the local CA in " + r.State + " for " + at + ", but one of " + printable(shown[0].Issuer.String()) + ": it runs with another state directory"
	}
	return f
}

// ofLocalCA reports whether a certificate is the local CA's, or signed by it.
func (r *run) ofLocalCA(c *x509.Certificate) bool {
	return r.authority.Owns(c) || c.CheckSignatureFrom(r.authority.Certificate()) == nil
}

// verifies returns why a chain does not, with these roots.
func (r *run) verifies(chain []*x509.Certificate, roots *x509.CertPool) error {
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: r.now})
	return err
}

// ownWords takes the words out of one of the proxy's own answers.
func ownWords(resp *http.Response) (text, hint string) {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxShown*4)) // what there is
	text = printable(resp.Status)
	for line := range strings.Lines(string(body)) {
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "certproxy: "); ok {
			text = printable(rest)
		}
		if rest, ok := strings.CutPrefix(line, "hint: "); ok {
			hint = printable(rest)
		}
	}
	return text, hint
}

// dialReason is an error without the addresses, which are named already.
func dialReason(err error) string {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return "it did not answer in time"
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "it closed the connection"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	return printable(err.Error())
}
