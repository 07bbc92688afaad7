package check

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/shell"
	"github.com/certproxy/certproxy/proxy"
)

// An asking is one host that was asked.
type asking struct {
	*run
	host   *certs.Host
	listed bool // it has a directory that is not empty
	usable bool
	near   bool // a directory was meant for it
	list   []proxy.Probed
	chosen int // of list, or -1
}

// lookAtHost explains the lookup, asks the host with each pair, and says what follows.
func (r *run) lookAtHost(ctx context.Context) error {
	found := r.lookup()
	a := &asking{run: r, host: found, listed: found != nil && found.Action != certs.Tunnel}
	a.usable = a.listed && found.Action == certs.Intercept
	if !a.usable {
		// Whom clients reach all the same, or would once it can be used.
		a.host = &certs.Host{Name: r.Target.Host}
		if found != nil {
			*a.host = *found
			a.host.Pairs = nil
		}
	}
	config := r.Proxy
	config.Index, config.Leaves = r.index, leaves{r}
	config.Getenv = r.withoutOurselves()
	var err error
	if a.list, a.chosen, err = proxy.Probe(ctx, config, a.host, proxy.ProbeRequest{
		Method: http.MethodGet, Path: r.Target.Path, Accept: r.Target.accept, Timeout: r.Timeout,
	}); err != nil {
		return err
	}
	a.describe()
	if found == nil {
		a.judgeUnlisted()
	} else {
		a.judgeFiles(found)
		r.lookAtPermissions(found)
	}
	a.judgeConnection()
	a.judgePairs()
	a.judgeAnswer(ctx, config)
	r.lookThroughProxy(ctx, found, a.first().Peer)
	return nil
}

// first is the outcome that shows the server.
func (a *asking) first() *proxy.Probed { return &a.list[0] }

// asked reports whether the server asked for a client certificate.
func (a *asking) asked() bool {
	for _, p := range a.list {
		if p.Requested != nil {
			return true
		}
	}
	return false
}

// content reports whether clients get an answer that says nothing against a pair.
func (a *asking) content() bool {
	if a.chosen < 0 {
		return false
	}
	p := a.list[a.chosen]
	return p.Answer != nil && p.Verdict != "refused" && p.Answer.StatusCode != http.StatusForbidden
}

// judgeUnlisted is for a host without a directory: it is tunnelled, which is right
// unless a directory was meant for it, or the server wants a certificate.
func (a *asking) judgeUnlisted() {
	about, r := a.Target.Host, a.run
	wants := a.asked() || !a.content()
	misses := r.misses()
	said := false
	for _, m := range misses {
		level := Warning
		if wants && !m.weak {
			level = Error
		} else if m.weak && !a.asked() {
			level = Note
		}
		said = said || level == Error
		a.near = a.near || level == Error
		r.looked(m.dir, "near", m.why)
		fix := "mv " + shell.Quote(m.dir) + " " + shell.Quote(m.want)
		if m.weak {
			fix = "cp -a " + shell.Quote(m.dir) + " " + shell.Quote(m.want)
		}
		if os.Geteuid() != 0 && strings.HasPrefix(m.want, "/etc/") {
			fix = "sudo " + fix
		}
		r.report.add(rankDirectory, Finding{Level: level, About: m.dir, Fix: fix,
			Text: "this directory is not used for " + about + ": " + m.why})
	}
	unseen := r.unseen()
	for _, p := range unseen {
		r.report.add(rankDirectory, r.fromProblem(p))
	}
	switch {
	case a.Target.Host == "docker.io:443" || a.Target.Host == "index.docker.io:443":
		r.report.add(rankDirectory, Finding{Level: Note, About: about, Text: "clients that pull from Docker Hub connect to registry-1.docker.io",
			Fix: "certproxy check registry-1.docker.io"})
	case len(unseen) > 0: // it may have one there
	case a.asked() && !said:
		r.report.add(rankDirectory, Finding{Level: Error, About: about, Fix: a.makeDirectory(),
			Text: "the server asks for a client certificate, and the host has no directory, so it is tunnelled and clients present their own"})
	case !a.asked() && a.content():
		r.report.add(rankDirectory, Finding{Level: OK, About: about,
			Text: "it has no directory and asks for no client certificate: its bytes are tunnelled untouched"})
	}
}

// makeDirectory is how a host gets a directory.
func (a *asking) makeDirectory() string {
	root := "/etc/certproxy/certs.d"
	if len(a.Roots) > 0 {
		root = a.Roots[0].Path
	}
	dir := path.Join(root, a.Target.Host)
	return "mkdir -p " + shell.Quote(dir) + "\n" +
		"cp CLIENT.pem " + shell.Quote(path.Join(dir, "client.cert")) + "\n" +
		"install -m 600 CLIENT-KEY.pem " + shell.Quote(path.Join(dir, "client.key"))
}

// judgeFiles reports the host's problems, but for those which the server's own words
// tell better.
func (a *asking) judgeFiles(found *certs.Host) {
	tried := map[string]bool{}
	for _, p := range a.list {
		if p.Pair != nil {
			tried[p.Pair.Name] = true
		}
	}
	for _, p := range found.ProblemsAt(a.now) {
		if tried[p.Pair] && aboutPair(p.Kind) && !a.accepted(p.Pair) {
			continue // judgePairs says it
		}
		f := a.fromProblem(p)
		if f.Level == Error && a.content() {
			f.Level = Warning // another pair does it
		}
		a.report.add(rankFiles, f)
	}
	for _, p := range a.unseen() {
		f := a.fromProblem(p)
		f.Level = Warning // the host's was found
		a.report.add(rankFiles, f)
	}
	if found.Action == certs.Tunnel && a.asked() {
		a.report.add(rankFiles, Finding{Level: Error, About: found.Dir, Fix: a.putPair(),
			Text: "the server asks for a client certificate, and the host's directory is empty, so it is tunnelled and clients present their own"})
	}
	if a.usable {
		a.report.add(rankFiles, Finding{Level: OK, About: found.Dir, Text: "this directory is used: " + used(found)})
	}
}

// unseen returns the problems of roots that cannot be read: they could hold any host.
func (r *run) unseen() []certs.Problem {
	return slices.DeleteFunc(r.index.Problems(r.now), func(p certs.Problem) bool { return p.Kind != certs.ErrRoot })
}

// aboutPair reports whether a problem may be why a server refuses a pair.
func aboutPair(k certs.Kind) bool {
	switch k {
	case certs.ErrExpired, certs.ErrNotYetValid, certs.ErrNoClientAuth, certs.ErrChainIncomplete:
		return true
	}
	return false
}

func (a *asking) accepted(pair string) bool {
	for _, p := range a.list {
		if p.Pair != nil && p.Pair.Name == pair {
			return p.Verdict == "accepted" || p.Verdict == "not asked"
		}
	}
	return false
}

// judgeConnection says what keeps every client from the host.
func (a *asking) judgeConnection() {
	p := a.first()
	at := a.Target.Host
	if p.TLS.HandshakeComplete {
		a.report.add(rankServer, Finding{Level: OK, About: at, Text: fmt.Sprintf("%s, its certificate is verified with %s from %s",
			a.report.Server.TLSVersion, a.report.Server.VerifiedBy, a.report.Server.VerifiedFrom)})
	}
	if p.Refusal == nil || wantsPair(*p) {
		return
	}
	f := Finding{Level: Error, About: at, Text: p.Refusal.Text, Advice: p.Refusal.Hint}
	rank := rankConnect
	host, port := split(at)
	kind := p.Refusal.Kind
	if strings.HasPrefix(f.Text, "upstream proxy ") {
		kind = "" // it says itself what to do
	}
	switch kind {
	case "dns_error", "dns_timeout":
		f.Fix = "getent hosts " + shell.Quote(host)
	case "connection_refused":
		f.Fix = "nc -vz " + shell.Quote(strings.Trim(host, "[]")) + " " + port
	case "tls_certificate_error":
		if a.near {
			return // its CA root may lie in the directory that is not used
		}
		rank = rankServer
		a.verification(p, &f)
	case "connection_timeout", "http_response_timeout":
		f.Fix = "curl -vk --noproxy '*' --max-time " + seconds(a.Timeout) + " " + shell.Quote("https://"+at+"/")
		f.Advice = "if that hangs too, look for a firewall between, and at the server's load and log"
	case "tls_protocol_error", "tls_alert_received":
		if strings.Contains(f.Text, "in a renegotiation") {
			f.Fix, f.Advice = a.setRenegotiation()
			break
		}
		if p.Alert == 112 { // unrecognized_name
			f.Text = at + " knows no host of that name (alert 112)"
		}
		if p.Alert == 70 || strings.Contains(f.Text, "protocol version") { // protocol_version
			f.Text = at + " speaks no TLS 1.2 or newer, and certproxy nothing older"
		}
		f.Fix = "openssl s_client -connect " + shell.Quote(at) + " -servername " + shell.Quote(strings.Trim(host, "[]")) + " </dev/null"
		f.Advice = "see what the server says, and look at its log"
		if strings.HasSuffix(f.Text, "does not speak TLS") {
			f.Fix = "curl -v --noproxy '*' " + shell.Quote("http://"+at+"/")
			f.Advice = "if that answers, the port is one of plain http, where no certificate is asked for: name the port of TLS"
		}
	}
	a.report.add(rank, f)
}
