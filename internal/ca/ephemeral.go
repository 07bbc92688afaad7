package ca

import (
	"crypto/x509"
	"path/filepath"
	"time"
)

// Ephemeral makes a CA that lives in memory alone: its key is never written anywhere,
// and it ends with the process. It may sign for every host.
func Ephemeral() (*CA, error) { return ephemeral(time.Now) }

func ephemeral(now func() time.Time) (*CA, error) {
	certPEM, keyPEM, err := generate(nil, now())
	if err != nil {
		return nil, err
	}
	chain, fault := parseChain(certPEM)
	if fault != nil {
		return nil, fault
	}
	key, fault := parseKey(keyPEM)
	if fault != nil {
		return nil, fault
	}
	return newCA("memory", chain, key, now)
}

// LoadCertificate reads only the certificate of a state directory's CA, for whoever
// tells others to trust it: no key is touched. Where there is no CA, errors.Is(err,
// [ErrNone]).
func LoadCertificate(dir string) (*x509.Certificate, error) {
	dir = absolute(dir)
	path := filepath.Join(dir, CertFile)
	if !present(path) {
		return nil, &Error{Kind: ErrNone, About: dir, Hint: "make one: certproxy ca init --state " + quote(dir)}
	}
	data, _, err := readFile(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	chain, fault := parseChain(data)
	if fault == nil {
		fault = checkChain(chain)
	}
	if fault != nil {
		fault.About = path
		return nil, fault
	}
	return chain[0], nil
}
