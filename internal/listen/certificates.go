package listen

import (
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/certproxy/certproxy/internal/strength"
)

// Certificates are the files of the listeners with tls:. They are read again when they
// have changed: see [Open].
type Certificates struct {
	Cert string // PEM: the server's certificate and then its intermediates
	Key  string // PEM, not encrypted
	// ClientCA is PEM: who signs the certificates that clients must have. Empty asks for none.
	ClientCA string

	// Warn is told, once each time, why files that have changed are not used; those before
	// them still are. Reloaded is told that new ones are. Both are called on the goroutine of a
	// connection, and may be nil.
	Warn     func(error)
	Reloaded func()
}

// Check returns what is wrong with the files now, or nil.
func (c Certificates) Check(now time.Time) error {
	_, err := c.load(now)
	return err
}

// wrapper returns what makes listeners speak TLS, if there is one that shall.
func (c Certificates) wrapper(specs []Spec) (func(net.Listener) net.Listener, error) {
	for _, spec := range specs {
		if !spec.TLS {
			continue
		}
		if c.Cert == "" || c.Key == "" {
			return nil, fmt.Errorf("cannot listen on %s without a certificate; name one and its key with --listen-cert and --listen-key", spec)
		}
		now := time.Now()
		first, err := c.load(now)
		if err != nil {
			return nil, fmt.Errorf("cannot listen on %s: %w", spec, err)
		}
		config := newReloader(c, first, now).config(time.Now)
		return func(l net.Listener) net.Listener { return tls.NewListener(l, config) }, nil
	}
	return nil, nil
}

// loaded is what was in the files at one moment.
type loaded struct {
	sum    [sha256.Size]byte
	config *tls.Config
}

// load reads the files. No error holds any of what is in them.
func (c Certificates) load(now time.Time) (*loaded, error) {
	cert, err := read("certificate", c.Cert)
	if err != nil {
		return nil, err
	}
	key, err := read("key", c.Key)
	if err != nil {
		return nil, err
	}
	var ca []byte
	if c.ClientCA != "" {
		if ca, err = read("client CA", c.ClientCA); err != nil {
			return nil, err
		}
	}
	out := &loaded{sum: sum(cert, key, ca)}
	out.config, err = c.parse(cert, key, ca, now)
	return out, err
}

// sum tells contents apart, wherever one file ends and the next begins.
func sum(files ...[]byte) [sha256.Size]byte {
	var all []byte
	for _, f := range files {
		one := sha256.Sum256(f)
		all = append(all, one[:]...)
	}
	return sha256.Sum256(all)
}

func (c Certificates) parse(cert, key, ca []byte, now time.Time) (*tls.Config, error) {
	pair, err := c.pair(cert, key)
	if err != nil {
		return nil, err
	}
	switch leaf := pair.Leaf; {
	case now.After(leaf.NotAfter):
		return nil, fmt.Errorf("certificate %s expired at %s; renew it", c.Cert, leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return nil, fmt.Errorf("certificate %s is not valid before %s; see whether the clock is right (timedatectl)", c.Cert, leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	config := &tls.Config{
		MinVersion:   tls.VersionTLS12,
		CipherSuites: strength.CipherSuites(),
		NextProtos:   []string{"http/1.1"}, // what is spoken to a proxy here
		Certificates: []tls.Certificate{pair},
	}
	if c.ClientCA != "" {
		if config.ClientCAs, err = clientCAs(c.ClientCA, ca); err != nil {
			return nil, err
		}
		config.ClientAuth = tls.RequireAndVerifyClientCert // its default usage is ExtKeyUsageClientAuth
		// A ticket would let a client in again after its CA was taken out of the file.
		config.SessionTicketsDisabled = true
	}
	return config, nil
}

func (c Certificates) pair(cert, key []byte) (tls.Certificate, error) {
	types, _ := blocks(cert)
	if !strings.Contains(types, certificateBlock+"\n") {
		hint := "see whether it is whole; convert one in DER with openssl x509 -inform der -in FILE"
		if strings.Contains(types, "PRIVATE KEY") {
			hint = "it holds a key: name the certificate with --listen-cert, the key with --listen-key"
		}
		return tls.Certificate{}, fmt.Errorf("certificate %s has no PEM certificate in it; %s", c.Cert, hint)
	}
	if brokenOff(cert, strings.Count(types, certificateBlock+"\n")) {
		return tls.Certificate{}, fmt.Errorf("certificate %s has a certificate that is not whole; see where it breaks off", c.Cert)
	}
	types, encrypted := blocks(key)
	if encrypted {
		return tls.Certificate{}, fmt.Errorf("key %s is encrypted, and there is nobody to ask for its password; decrypt it (openssl pkey -in FILE -out NEW)", c.Key)
	}
	if !strings.Contains(types, "PRIVATE KEY") {
		return tls.Certificate{}, fmt.Errorf("key %s has no PEM private key in it; see whether it is whole and the right file", c.Key)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err == nil {
		return pair, nil
	}
	// Whose fault it is, package tls says only in words.
	switch reason := err.Error(); {
	case strings.Contains(reason, "does not match"):
		return pair, fmt.Errorf("key %s does not belong to the first certificate in %s; name the two of one pair, the server's own certificate before its intermediates", c.Key, c.Cert)
	case strings.Contains(reason, "private key"):
		return pair, fmt.Errorf("key %s cannot be read as one; use RSA, ECDSA or Ed25519 in PKCS #8, PKCS #1 or SEC 1", c.Key)
	}
	return pair, fmt.Errorf("certificate %s cannot be used: %w", c.Cert, err)
}
