package ca

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// maxFile bounds what is read of one file, in bytes.
const maxFile = 1 << 20

// Load reads the CA of a state directory, whoever made it. [CertFile] holds its
// certificate first and may go on with its issuers, in order, with or without the
// root. [KeyFile] holds its key: PKCS #1, SEC 1 or PKCS #8; RSA, ECDSA or Ed25519. Text
// before a PEM block, CRLF and a byte-order mark are fine.
//
// Where there is no CA, errors.Is(err, [ErrNone]).
func Load(dir string) (*CA, error) { return load(absolute(dir), time.Now) }

func load(dir string, now func() time.Time) (*CA, error) {
	certPath, keyPath := filepath.Join(dir, CertFile), filepath.Join(dir, KeyFile)
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return nil, &Error{Kind: ErrUnreadable, About: dir, Detail: "it is a file, not a directory", Hint: "name a directory with --state"}
	}
	if !present(certPath) {
		return nil, &Error{Kind: ErrNone, About: dir, Hint: "make one: certproxy ca init --state " + quote(dir)}
	}
	certPEM, _, err := readFile(certPath)
	if err != nil {
		return nil, unreadable(certPath, err)
	}
	if !present(keyPath) {
		return nil, loneCert(certPath, keyPath)
	}
	keyPEM, keyInfo, err := readFile(keyPath)
	if err != nil {
		return nil, unreadable(keyPath, err)
	}
	if exposed(keyInfo) {
		return nil, &Error{
			Kind: ErrKeyExposed, About: keyPath, Detail: fmt.Sprintf("mode %04o", keyInfo.Mode().Perm()),
			Hint: "whoever reads it can pose as any server to your clients; if nobody did, run: chmod 600 " + quote(keyPath),
		}
	}
	chain, fault := parseChain(certPEM)
	if fault == nil {
		fault = checkChain(chain)
	}
	if fault == nil {
		fault = checkTime(chain[0], now())
	}
	if fault != nil {
		fault.About = certPath
		return nil, fault
	}
	key, fault := parseKey(keyPEM)
	if fault == nil && !samePublic(chain[0].PublicKey, key.Public()) {
		fault = &Error{
			Kind: ErrMismatch, Detail: "the first certificate of " + certPath + " is " + chain[0].Subject.String(),
			Hint: "put the files of one CA there, its own certificate first",
		}
	}
	if fault != nil {
		fault.About = keyPath
		return nil, fault
	}
	return newCA(dir, chain, key, now)
}

// readFile reads a regular file, and no more than maxFile of it. Anything else, a
// FIFO for one, could block the reader for ever.
func readFile(path string) ([]byte, fs.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) && present(path) {
			err = errors.New("the symbolic link leads nowhere")
		}
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("it is no regular file (%s)", info.Mode())
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = f.Close() }()
	if info, err = f.Stat(); err != nil { // of what is read, should the name have moved
		return nil, nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("it is larger than %d bytes", maxFile)
	}
	return data, info, err
}
