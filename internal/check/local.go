package check

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/certproxy/certproxy/internal/ca"
	"github.com/certproxy/certproxy/internal/shell"
)

// caEndsSoon is how long before its end the local CA becomes a finding: every client
// has to be told of the next one.
const caEndsSoon = 90 * 24 * time.Hour

// lookAtCA loads the local CA.
func (r *run) lookAtCA() {
	authority, err := ca.Load(r.State)
	var fault *ca.Error
	switch {
	case err == nil:
		r.authority = authority
		c := authority.Certificate()
		f := Finding{Level: OK, About: filepath.Join(r.State, ca.CertFile), Text: "the local CA is there, until " + date(c.NotAfter)}
		if left := c.NotAfter.Sub(r.now); left < caEndsSoon {
			f.Level = Warning
			f.Text = fmt.Sprintf("the local CA ends at %s, in %d days", date(c.NotAfter), int(left.Hours()/24))
			f.Fix = "mkdir -p " + shell.Quote(r.State+".old") + " && mv " + shell.Quote(filepath.Join(r.State, ca.CertFile)) + " " + shell.Quote(filepath.Join(r.State, ca.KeyFile)) + " " +
				shell.Quote(r.State+".old") + "/\ncertproxy ca init --state " + shell.Quote(r.State)
			f.Advice = "then restart certproxy, and let clients trust the new one"
		}
		r.report.add(rankCA, f)
	case errors.Is(err, ca.ErrNone):
		r.noCA = true
		r.report.add(rankCA, Finding{Level: Note, About: r.State, Text: "no local CA is there yet: certproxy serve makes it at its first start",
			Fix: "certproxy ca init --state " + shell.Quote(r.State)})
	case errors.As(err, &fault):
		f := Finding{Level: Error, About: fault.About, Text: "the local CA cannot be used: " + string(fault.Kind), Advice: fault.Hint}
		if fault.Detail != "" {
			f.Text += ": " + fault.Detail
		}
		if before, command, ok := strings.Cut(fault.Hint, ", run: "); ok && !strings.Contains(command, ", ") {
			f.Fix, f.Advice = command, before
		}
		if errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
			f.Level, f.Fix, f.Advice = Note, "sudo "+r.Again, ""
			f.Text = "the local CA was not looked at: " + strings.Replace(fault.Detail, "certproxy runs as", "this check runs as", 1)
		}
		r.report.add(rankCA, f)
	default:
		r.report.add(rankCA, Finding{Level: Error, About: r.State, Text: "the local CA cannot be used: " + err.Error()})
	}
}

// lookAtState says whether others may put a CA of theirs into the state directory.
func (r *run) lookAtState() {
	info, err := os.Stat(r.State)
	if err != nil || info.Mode().Perm()&0o022 == 0 {
		return
	}
	r.report.add(rankCA, Finding{Level: Error, About: r.State, Fix: "chmod 700 " + shell.Quote(r.State),
		Text: fmt.Sprintf("others than its owner may write to the state directory (mode %04o): who does can put a CA there that clients trust", info.Mode().Perm())})
}

func (r *run) owns() func(*x509.Certificate) bool {
	if r.authority == nil {
		return nil
	}
	return r.authority.Owns
}

// leaves are what the prober knows of the local CA: whose certificate is its own.
type leaves struct{ r *run }

func (leaves) Leaf(string) (*tls.Certificate, error) {
	return nil, errors.New("check shows nobody a certificate")
}

func (l leaves) Owns(c *x509.Certificate) bool { return l.r.authority != nil && l.r.authority.Owns(c) }

// lookAtTrust says whether clients that trust what the system trusts believe the local
// CA.
func (r *run) lookAtTrust() {
	certificate := r.caCertificate()
	if certificate == nil {
		return
	}
	about := filepath.Join(r.State, ca.CertFile)
	roots, err := r.systemRoots()
	if err != nil {
		r.report.add(rankTrust, Finding{Level: Error, About: "the system's CA roots", Text: "they cannot be read: " + reason(err), Fix: "apt-get install ca-certificates"})
		return
	}
	where := "the system"
	if file := r.Proxy.Getenv("SSL_CERT_FILE"); file != "" {
		where = printable(file) + " (SSL_CERT_FILE)"
	}
	if _, err := certificate.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: r.now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err == nil {
		r.report.add(rankTrust, Finding{Level: OK, About: about, Text: where + " trusts the local CA"})
		return
	}
	f := Finding{Level: Error, About: about, Fix: r.install(filepath.Dir(about)),
		Text: where + " does not trust the local CA: clients say that the certificate is signed by an unknown authority"}
	if r.Target != nil {
		if file := r.besideHost(certificate); file != "" {
			f.Level = Note
			f.Text = where + " does not trust the local CA, but docker and podman do for this host: " + file + " holds it"
		}
	}
	r.report.add(rankTrust, f)
}

func (r *run) systemRoots() (*x509.CertPool, error) {
	if r.Proxy.SystemRoots != nil {
		return r.Proxy.SystemRoots, nil
	}
	return x509.SystemCertPool()
}

// caCertificate returns the local CA's certificate, even where its key cannot be read.
func (r *run) caCertificate() *x509.Certificate {
	if r.authority != nil {
		return r.authority.Certificate()
	}
	data, err := os.ReadFile(filepath.Join(r.State, ca.CertFile))
	if err != nil {
		return nil
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil
	}
	return c
}

// besideHost returns the file of the host's directory that holds the local CA, which
// is how dockerd and podman come to trust it.
func (r *run) besideHost(own *x509.Certificate) string {
	h, ok := r.index.Lookup(r.Target.Host)
	if !ok {
		return ""
	}
	files, err := filepath.Glob(filepath.Join(h.Dir, "*.crt"))
	if err != nil {
		return ""
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		for err == nil {
			var block *pem.Block
			if block, data = pem.Decode(data); block == nil {
				break
			}
			if slices.Equal(block.Bytes, own.Raw) {
				return file
			}
		}
	}
	return ""
}

// install is how the system comes to trust the local CA of a state directory.
func (r *run) install(state string) string {
	command := "certproxy trust install"
	if state != "/var/lib/certproxy" { // of root, who runs it
		command += " --state " + shell.Quote(state)
	}
	if os.Geteuid() != 0 {
		command = "sudo " + command
	}
	return command
}

// directories returns every directory that a running proxy would watch.
func (r *run) directories() []string {
	var dirs []string
	for _, root := range r.Roots {
		if info, err := os.Stat(root.Path); err == nil && info.IsDir() {
			dirs = append(dirs, root.Path)
		}
	}
	for _, h := range r.index.Hosts() {
		dirs = append(dirs, h.Dir)
	}
	return dirs
}
