package listen

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// maxFile bounds a file of certificates: a distribution's whole bundle has a quarter of it.
const maxFile = 1 << 20

const certificateBlock = "CERTIFICATE"

// clientCAs is AppendCertsFromPEM, but for what it would pass over in silence.
func clientCAs(file string, text []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	n := 0
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != certificateBlock {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("client CA %s: certificate %d cannot be read: %w", file, n+1, err)
		}
		pool.AddCert(cert)
		n++
	}
	if n == 0 {
		return nil, fmt.Errorf("client CA %s has no PEM certificate in it; see whether it is whole; convert one in DER with openssl x509 -inform der -in FILE", file)
	}
	if brokenOff(text, n) {
		return nil, fmt.Errorf("client CA %s has a certificate that is not whole; see where it breaks off", file)
	}
	return pool, nil
}

// brokenOff reports whether a file has the beginnings of more certificates than it has whole
// ones: it is just being written. They would be passed over, and a chain be too short.
func brokenOff(text []byte, whole int) bool {
	return bytes.Count(text, []byte("-----BEGIN "+certificateBlock+"-----")) > whole
}

// blocks returns which types of PEM blocks there are, and whether a key is encrypted.
func blocks(text []byte) (types string, encrypted bool) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return types, encrypted
		}
		types += block.Type + "\n"
		encrypted = encrypted || strings.Contains(block.Type, "ENCRYPTED") || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED")
	}
}

// read reads one of the files. A pipe in its place must not stop a handshake.
func read(what, file string) ([]byte, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, readError(what, file, err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, readError(what, file, err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s %s is not a regular file; name one", what, file)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, readError(what, file, err)
	case len(text) > maxFile:
		return nil, fmt.Errorf("%s %s is larger than %d MiB; see whether it is the right file", what, file, maxFile>>20)
	}
	return bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")), nil
}

func readError(what, file string, err error) error {
	var reason *fs.PathError
	if errors.As(err, &reason) {
		err = reason.Err
	}
	hint := ""
	switch {
	case errors.Is(err, fs.ErrPermission):
		hint = "; let certproxy's user read it, by its group or with LoadCredential= in the unit"
	case errors.Is(err, fs.ErrNotExist):
		hint = "; see whether the path is right"
	}
	return fmt.Errorf("%s %s cannot be read: %w%s", what, file, err, hint)
}
