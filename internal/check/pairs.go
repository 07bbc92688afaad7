package check

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/shell"
	"github.com/certproxy/certproxy/proxy"
)

// judgePairs says of each pair what came of it, and why a server refused it: by what is
// known of the pair first, for many servers give the same alert for everything.
func (a *asking) judgePairs() {
	for i, p := range a.list {
		if p.Pair == nil {
			if wantsPair(p) {
				a.withoutPair(p)
			}
			continue
		}
		about := "pair " + p.Pair.Name
		f := Finding{Level: Error, About: about}
		if a.content() {
			f.Level = Warning // another one does it, an attempt later
		}
		t := &a.report.Pairs[i]
		switch p.Verdict {
		case "accepted":
			t.Why = "the server lets it in"
			f = Finding{Level: OK, About: about, Text: fmt.Sprintf("%s: the server lets %s in", p.Outcome, a.subject(p))}
			if t.Used {
				f.Text += ", and it is the one that is used"
			}
		case "not asked":
			t.Why = "the server never asked for it"
			continue
		case "refused", "rejected", "dropped":
			if p.Answer != nil && p.Answer.StatusCode == http.StatusNotFound {
				t.Why = "the server let it in, and has nothing at the path, or hides it"
				continue // judgeAnswer says it
			}
			t.Why, f.Fix, f.Advice = a.why(p)
			f.Text = p.Outcome + ": " + t.Why
		default:
			t.Why = "no other pair could help"
			continue // judgeConnection says it
		}
		a.report.add(rankPair, f)
	}
}

// wantsPair reports whether a server ended the connection for want of a certificate. It
// had shown its own before.
func wantsPair(p proxy.Probed) bool {
	return p.Pair == nil && p.Requested != nil && p.Answer == nil && p.Refusal != nil && !strings.HasSuffix(p.Refusal.Kind, "_timeout")
}

// withoutPair is for a server that wants a certificate where there is none.
func (a *asking) withoutPair(p proxy.Probed) {
	if !a.usable {
		return // that it has no pair is told already
	}
	a.report.add(rankPair, Finding{Level: Error, About: a.Target.Host, Fix: a.putPair(),
		Text: "the server wants a client certificate (" + p.Outcome + "), and " + a.host.Dir + " holds no pair"})
}

// why says why the server refused a pair, and what to do.
func (a *asking) why(p proxy.Probed) (text, fix, advice string) {
	at := a.Target.Host
	leaf := p.Pair.Leaf()
	file := shell.Quote(p.Pair.CertFile)
	show := "openssl x509 -noout -subject -issuer -serial -dates -in " + file
	replace := "put a new pair in place of " + file + " and " + shell.Quote(p.Pair.KeyFile) + "; certproxy takes it at once"
	for _, problem := range a.host.ProblemsAt(a.now) {
		if problem.Pair != p.Pair.Name {
			continue
		}
		switch problem.Kind {
		case certs.ErrExpired:
			return "the certificate has expired: " + problem.Detail, show, replace
		case certs.ErrNotYetValid, certs.ErrNoClientAuth, certs.ErrChainIncomplete:
			if told(p) {
				fix, advice = cure(problem)
				return string(problem.Kind) + ": " + problem.Detail, fix, advice
			}
		}
	}
	if told(p) && p.Requested != nil && len(p.Requested.AcceptableCAs) > 0 && !acceptable(p) {
		advice = "have a certificate issued by one of those, and " + replace
		if len(p.Pair.TLS().Certificate) == 1 && !selfSigned(leaf) {
			advice = "if " + printable(leaf.Issuer.String()) + " is an intermediate of one of those, its certificate is missing from the chain: append it to " + file + "; else " + advice
		}
		return fmt.Sprintf("its issuer is %s, and the server accepts certificates of %s", printable(leaf.Issuer.String()), a.acceptableCAs()), show, advice
	}
	issuer := printable(leaf.Issuer.String())
	send := "send that to who runs " + at
	status := 0
	if p.Answer != nil {
		status = p.Answer.StatusCode
	}
	switch {
	case status == http.StatusForbidden:
		return "the server knows the certificate and does not let " + a.subject(p) + " do this", show, send
	case status == 495 || strings.HasPrefix(p.Outcome, "400 (nginx") && !strings.Contains(string(p.Body), "No required SSL"):
		return "the server could not verify the certificate: its CA (" + issuer + ") is not the one that the server trusts, or the certificate was revoked or is out of date", show, send
	case status == 496 || strings.HasPrefix(p.Outcome, "400 (nginx"):
		return "the server says that no certificate was sent, though it was: what ends TLS in front of it does not pass it on", show, send
	case status == http.StatusUnauthorized:
		return "the server refuses " + a.subject(p) + " and names no other way to log in", show, send
	case status >= 500:
		return "the server failed, maybe over this certificate", show, "look at the log of " + at + ", at the time of this check"
	case status != 0:
		return "the server's answer moves on to the next pair (fallback_statuses)", show, send
	case p.Verdict == "dropped":
		return "the server ended the connection without a word once it had the certificate", show, send
	}
	if words := alertWords(p.Alert, issuer); words != "" {
		return words, show, send
	}
	return "the server cannot use its key (" + certs.KeyType(leaf) + ")", show, "have the certificate issued for a key of another kind: RSA 2048, or ECDSA P-256"
}

// told reports whether the server refused the certificate as such, and not what its
// owner may do.
func told(p proxy.Probed) bool {
	return p.Answer == nil || p.Answer.StatusCode == 495 || strings.HasPrefix(p.Outcome, "400 (nginx") || p.Answer.StatusCode == http.StatusForbidden && p.Requested != nil && len(p.Requested.AcceptableCAs) > 0 && !acceptable(p)
}

// alertWords says what a server means by an alert against a client certificate (RFC
// 8446 section 6.2), in other words than its name.
func alertWords(code int, issuer string) string {
	switch code {
	case 40:
		return "the server ended the handshake over the certificate, and does not say why"
	case 42:
		return "the server takes the certificate for broken, or signed wrongly"
	case 43:
		return "the server does not take certificates of this kind: often the extended key usage, or the type of its key"
	case 44:
		return "the certificate was revoked"
	case 45:
		return "the server says that the certificate has expired, or is not valid yet: compare its clock with this one's"
	case 46:
		return "the server refuses the certificate, and does not say why"
	case 47:
		return "the server found a contradiction in what was sent with the certificate"
	case 48:
		return "the server does not know its CA (" + issuer + "): it trusts another one, or an intermediate is missing from the chain"
	case 49:
		return "the server knows the certificate and does not let it in"
	case 51:
		return "the server could not verify the signature made with its key"
	case 80:
		return "the server failed over the certificate: Apache does for a chain longer than its SSLVerifyDepth"
	case 116:
		return "the server wants a certificate and says that it got none"
	}
	return ""
}

// acceptableCAs names the CAs that the server accepts, or the first of many.
func (a *asking) acceptableCAs() string { return some(a.report.Server.AcceptableCAs, "or") }

// some joins a list, or of a long one how it begins: servers may name thousands.
func some(list []string, word string) string {
	const most = 5
	if len(list) <= most {
		return strings.Join(list, " "+word+" ")
	}
	return fmt.Sprintf("%s %s %d others", strings.Join(list[:most], ", "), word, len(list)-most)
}
