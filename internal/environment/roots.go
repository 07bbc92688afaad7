package environment

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
)

// systemFiles are where distributions keep all CAs in one file, in the order in which
// Go's crypto/x509 looks for it.
func systemFiles() []string {
	return []string{
		"/etc/ssl/certs/ca-certificates.crt",                // Debian, Alpine, Arch
		"/etc/pki/tls/certs/ca-bundle.crt",                  // Fedora
		"/etc/ssl/ca-bundle.pem",                            // SUSE
		"/etc/pki/tls/cacert.pem",                           // OpenELEC
		"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // RHEL 7
		"/etc/ssl/cert.pem",                                 // Alpine, macOS, FreeBSD
	}
}

// systemDirs are where there is a file for each.
func systemDirs() []string { return []string{"/etc/ssl/certs", "/etc/pki/tls/certs"} }

// SystemFile returns the file of the system's CAs, or "" if there is none. The
// environment may name another one by SSL_CERT_FILE.
func SystemFile(getenv func(string) string) string {
	if file := getenv("SSL_CERT_FILE"); file != "" {
		return file
	}
	for _, file := range systemFiles() {
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			return file
		}
	}
	return ""
}

// A RootSet is a list of CAs, each of them once.
type RootSet struct {
	ders [][]byte
	have map[[sha256.Size]byte]bool
}

// SystemRoots returns the CAs that programs of this system trust: those of the system's
// file, or the one that SSL_CERT_FILE names, and those of SSL_CERT_DIR. What cannot be
// read is left out, as programs do.
func SystemRoots(getenv func(string) string) *RootSet {
	var set RootSet
	set.addFile(SystemFile(getenv))
	switch dirs := getenv("SSL_CERT_DIR"); {
	case dirs != "":
		for _, dir := range strings.Split(dirs, ":") {
			set.addDir(dir)
		}
	case len(set.ders) == 0:
		for _, dir := range systemDirs() {
			set.addDir(dir)
		}
	}
	return &set
}

// rootsAt returns the CAs of a file or of the files in a directory.
func rootsAt(path string) *RootSet {
	var set RootSet
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		set.addDir(path)
	} else {
		set.addFile(path)
	}
	return &set
}

// Contains reports whether a certificate is in the set.
func (s *RootSet) Contains(cert *x509.Certificate) bool { return s.have[sha256.Sum256(cert.Raw)] }

// With returns the set with one more CA, the last.
func (s *RootSet) With(cert *x509.Certificate) *RootSet {
	var out RootSet
	for _, der := range s.ders {
		out.add(der)
	}
	out.add(cert.Raw)
	return &out
}

// PEM returns the certificates alone, without the text that may stand between them.
func (s *RootSet) PEM() []byte {
	var out bytes.Buffer
	for _, der := range s.ders {
		_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: der}) // a buffer takes all
	}
	return out.Bytes()
}

func (s *RootSet) add(der []byte) {
	sum := sha256.Sum256(der)
	if s.have[sum] {
		return
	}
	if s.have == nil {
		s.have = map[[sha256.Size]byte]bool{}
	}
	s.have[sum] = true
	s.ders = append(s.ders, der)
}

// maxRoots bounds what is read of one file, in bytes: a bundle has some 200 KB.
const maxRoots = 16 << 20

func (s *RootSet) addFile(path string) {
	// A pipe could block for ever.
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() || info.Size() > maxRoots {
		return
	}
	rest, err := os.ReadFile(path)
	if err != nil {
		return
	}
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return
		}
		if block.Type == "CERTIFICATE" {
			s.add(block.Bytes)
		}
	}
}

func (s *RootSet) addDir(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, entry := range entries {
		s.addFile(filepath.Join(dir, entry.Name()))
	}
}
