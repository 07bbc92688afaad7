package check

import (
	"context"
	"fmt"
	"net/http"
	"path"
	"strings"

	"github.com/certproxy/certproxy/internal/shell"
	"github.com/certproxy/certproxy/proxy"
)

// judgeAnswer is about what clients get, once they reach the host.
func (a *asking) judgeAnswer(ctx context.Context, config proxy.Config) {
	if a.chosen < 0 || a.list[a.chosen].Answer == nil {
		return
	}
	p := a.list[a.chosen]
	status, at := p.Answer.StatusCode, a.Target.Host
	with := "without a client certificate"
	if p.Pair != nil {
		with = "with pair " + p.Pair.Name
	}
	got := fmt.Sprintf("GET %s %s answers %s", a.Target.Path, with, p.Answer.Status)
	if p.Pair != nil && p.Requested == nil {
		a.judgeNotAsked(ctx, config, got)
		return
	}
	f := Finding{Level: OK, About: at, Text: got}
	switch {
	case p.Verdict == "refused" && status == http.StatusNotFound:
		f.Level, f.Text = Warning, got+": the pair was let in, and there is nothing at the path"
		f.Fix, f.Advice = "certproxy check "+shell.Quote(at+"/REPOSITORY:TAG"), "name the very image that failed"
		if a.Target.Chosen {
			f.Level = Error
			f.Text += "; it may be spelt otherwise, or be hidden from " + a.subject(p)
			f.Fix = "openssl x509 -noout -subject -issuer -serial -in " + shell.Quote(p.Pair.CertFile)
			f.Advice = "check the spelling; else send that to who runs " + at + ", and ask whether " + a.Target.Path + " is there and this subject may see it"
		}
	case p.Verdict == "refused":
		return // judgePairs says it
	case p.Pair == nil && a.asked() && status >= 400 && status != http.StatusUnauthorized && a.usable:
		f.Level, f.Text = Error, got+": the server asks for a client certificate, and "+a.host.Dir+" holds no pair"
		f.Fix = a.putPair()
	case status == http.StatusUnauthorized:
		f.Text += ": it asks for a user or a token next, which is between the client and the server"
		f.Level, f.Fix = Note, "docker login "+strings.TrimSuffix(at, ":443")
	case status >= 400 && p.Pair == nil && !a.listed:
		f.Level = Note
	case status >= 400:
		f.Level = Warning
		f.Advice = "name the path that the client asks for: certproxy check " + shell.Quote(at+"/PATH")
	}
	a.report.add(rankAnswer, f)
}

// judgeNotAsked is for a server that never asked for the certificates that are there.
func (a *asking) judgeNotAsked(ctx context.Context, config proxy.Config, got string) {
	at := a.Target.Host
	status := a.list[a.chosen].Answer.StatusCode
	f := Finding{Level: Warning, About: at, Text: got + ", and the server never asked for a client certificate: no pair is used",
		Advice: "look for what ends TLS at the server: it must ask (nginx: ssl_verify_client optional; Apache: SSLVerifyClient optional; HAProxy: verify optional)"}
	if status == http.StatusForbidden || status == http.StatusUnauthorized || status == 495 || status == 496 || status == http.StatusBadRequest {
		f.Level = Error
	}
	if status == http.StatusForbidden && !proxySettings(config, at).Renegotiation && a.renegotiates(ctx, config) {
		f.Text = got + ": the server asks for a certificate only after it has seen the path (Apache's SSLVerifyClient inside <Location>), which TLS 1.3 cannot do"
		f.Fix, f.Advice = a.setRenegotiation()
	}
	a.report.add(rankAnswer, f)
}

func (a *asking) setRenegotiation() (fix, advice string) {
	return "hosts:\n  " + yamlKey(a.Target.Host) + ":\n    renegotiation: true", "write that into " + a.ConfigFile + ", and send certproxy a SIGHUP"
}

// renegotiates reports whether the server asks when it may do so late.
func (a *asking) renegotiates(ctx context.Context, config proxy.Config) bool {
	settings := config.Host
	config.Host = func(authority string) proxy.HostSettings {
		s := proxy.DefaultHostSettings()
		if settings != nil {
			s = settings(authority)
		}
		s.Renegotiation = true
		return s
	}
	list, _, err := proxy.Probe(ctx, config, a.host, proxy.ProbeRequest{Method: http.MethodGet, Path: a.Target.Path, Accept: a.Target.accept, Timeout: a.Timeout})
	return err == nil && len(list) > 0 && list[0].Requested != nil
}

func proxySettings(config proxy.Config, authority string) proxy.HostSettings {
	if config.Host == nil {
		return proxy.DefaultHostSettings()
	}
	return config.Host(authority)
}

// yamlKey quotes what has a colon in it.
func yamlKey(s string) string { return `"` + s + `"` }

func (a *asking) putPair() string {
	return "cp CLIENT.pem " + shell.Quote(path.Join(a.host.Dir, "client.cert")) + "\n" +
		"install -m 600 CLIENT-KEY.pem " + shell.Quote(path.Join(a.host.Dir, "client.key"))
}

func (a *asking) subject(p proxy.Probed) string {
	if p.Pair == nil {
		return "nobody"
	}
	return p.Pair.Leaf().Subject.String()
}
