package ca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	lifetimeYears = 10
	skew          = time.Hour // how far a client's clock may lag behind
)

// Options say what CA to make. The zero value may sign for every host.
type Options struct {
	// PermitDNS limits the CA to these domains and what lies below them, by a
	// critical name constraint; IP addresses are then excluded altogether. A domain
	// is lower-cased and loses one trailing dot. It has no leading dot or "*.",
	// which RFC 5280 section 4.2.1.10 does not define for DNS names; it is ASCII
	// ("xn--..." for others), and it is no IP address.
	PermitDNS []string

	now func() time.Time // nil means time.Now
}

// Create makes a CA in a state directory, which is made (0700) if it is missing. It
// fails with [ErrExists] if a CA is there. A creation that was killed leaves
// nothing that the next one does not clean up.
func Create(dir string, o Options) (*CA, error) {
	if o.now == nil {
		o.now = time.Now
	}
	dir = absolute(dir)
	domains, err := parseDomains(o.PermitDNS)
	if err != nil {
		return nil, err
	}
	if err := makeDir(dir); err != nil {
		return nil, unwritable(dir, err)
	}
	unlock, err := lock(dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := clean(dir); err != nil {
		return nil, err
	}
	certPEM, keyPEM, err := generate(domains, o.now())
	if err != nil {
		return nil, fmt.Errorf("make a CA: %w", err)
	}
	if err := install(dir, certPEM, keyPEM); err != nil {
		return nil, unwritable(dir, err)
	}
	return load(dir, o.now) // what works from the disk now works after a restart
}

// LoadOrCreate loads the CA of a state directory, or makes one with the zero
// [Options] where there is none; the bool says that it was made now. Of several
// processes that start at once, one makes it and all have the same.
func LoadOrCreate(dir string) (*CA, bool, error) {
	c, err := Load(dir)
	if !errors.Is(err, ErrNone) {
		return c, false, err
	}
	c, err = Create(dir, Options{})
	if errors.Is(err, ErrExists) { // another process was faster
		c, err = Load(dir)
		return c, false, err
	}
	return c, err == nil, err
}

// generate returns a new CA's certificate and key as PEM.
func generate(domains []string, now time.Time) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{Organization: []string{"certproxy"}, CommonName: subject(now)},
		NotBefore:             now.Add(-skew),
		NotAfter:              now.AddDate(lifetimeYears, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true, // with MaxPathLen 0: it signs leaves, never another CA
	}
	if len(domains) > 0 {
		template.PermittedDNSDomainsCritical = true
		template.PermittedDNSDomains = domains
		// A constraint on DNS names leaves IP addresses free (RFC 5280 section 4.2.1.10).
		template.ExcludedIPRanges = []*net.IPNet{
			{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)},
			{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)},
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), nil
}

// subject says what the CA is, on which machine and since when, to somebody who
// finds it in a trust store. RFC 5280 allows a common name 64 characters.
func subject(now time.Time) string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "an unnamed machine"
	}
	name := []rune(strings.ToValidUTF8(host, "?"))
	format := "certproxy CA on %s (" + now.UTC().Format(time.DateOnly) + ")"
	if room := maxCommonName - (len(format) - len("%s")); len(name) > room {
		name = name[:room]
	}
	return fmt.Sprintf(format, string(name))
}

// newSerial returns a random number of 128 bits, never zero (RFC 5280 section 4.1.2.2).
func newSerial() (*big.Int, error) {
	limit := new(big.Int).Lsh(big.NewInt(1), 128)
	n, err := rand.Int(rand.Reader, limit.Sub(limit, big.NewInt(1)))
	if err != nil {
		return nil, err
	}
	return n.Add(n, big.NewInt(1)), nil
}

// absolute returns a path that an error can name from anywhere.
func absolute(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return dir
}
