package environment

import (
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"software.sslmate.com/src/go-pkcs12"
)

// WriteJava writes into dir a trust store of the system's CAs and ca, and returns the
// variable that has each JVM use it and the proxy at addr (host:port): Java reads
// no other variable. Options of the caller's stay, before ours. The JVM says on its
// standard error that it picked them up.
//
// listed are the hosts, as name:port, that must not bypass the proxy: Java does so
// for this machine's own names unless told.
func WriteJava(dir, addr string, ca *x509.Certificate, listed []string, getenv func(string) string) (Variable, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return Variable{}, err
	}
	store, err := javaStore(SystemRoots(getenv).With(ca))
	if err != nil {
		return Variable{}, fmt.Errorf("cannot make Java's trust store: %w", err)
	}
	path := filepath.Join(dir, "truststore.p12")
	if err := os.WriteFile(path, store, 0o600); err != nil {
		return Variable{}, fmt.Errorf("cannot write Java's trust store: %w", err)
	}
	direct := "localhost|127.*|[::1]" // Java's own default
	for _, authority := range listed {
		if loopback(authority) {
			direct = ""
		}
	}
	options := []string{
		"-Dhttps.proxyHost=" + host, "-Dhttps.proxyPort=" + port,
		"-Dhttp.proxyHost=" + host, "-Dhttp.proxyPort=" + port,
		"-Dhttp.nonProxyHosts=" + direct,
		"-Djavax.net.ssl.trustStore=" + path, "-Djavax.net.ssl.trustStoreType=PKCS12",
	}
	if before := getenv("JAVA_TOOL_OPTIONS"); before != "" {
		options = append([]string{before}, quoteJava(options)...)
	} else {
		options = quoteJava(options)
	}
	return Variable{"JAVA_TOOL_OPTIONS", strings.Join(options, " ")}, nil
}

// javaStore returns a PKCS #12 trust store. It has no password, so that none has to be
// told: it holds nothing secret, and nobody but its user can change it.
func javaStore(roots *RootSet) ([]byte, error) {
	var entries []pkcs12.TrustStoreEntry
	for _, der := range roots.ders {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			continue // Java would refuse it too, and all others with it
		}
		// Java knows an entry by this name alone: two CAs of one name would be one.
		entries = append(entries, pkcs12.TrustStoreEntry{Cert: cert, FriendlyName: fmt.Sprintf("%d %s", len(entries), cert.Subject)})
	}
	return pkcs12.Passwordless.WithRand(rand.Reader).EncodeTrustStoreEntries(entries, "")
}

// quoteJava quotes options as the JVM reads this variable: it knows quotation marks of
// either kind, and nothing that escapes them.
func quoteJava(options []string) []string {
	out := make([]string, len(options))
	for i, o := range options {
		switch {
		case !strings.ContainsAny(o, " \t\n\r\v\f'\""):
			out[i] = o
		case !strings.Contains(o, `"`):
			out[i] = `"` + o + `"`
		default:
			out[i] = `'` + o + `'`
		}
	}
	return out
}
