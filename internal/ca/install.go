package ca

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// The other files of a state directory.
const (
	lockFile    = ".ca.lock"
	newKeyFile  = ".ca.key.new"
	newCertFile = ".ca.crt.new"
)

// makeDir makes the state directory, and what is missing above it.
func makeDir(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

// install puts a new CA's files in place. Both are whole on the disk under other
// names before either gets its own, and the certificate gets it last: a ca.crt
// means a complete CA, and a ca.key beside its .ca.crt.new an interrupted creation.
func install(dir string, certPEM, keyPEM []byte) (err error) {
	defer func() {
		if err != nil {
			_ = clean(dir) // the first error tells more
		}
	}()
	if err := writeFile(filepath.Join(dir, newKeyFile), keyPEM, 0o600); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(dir, newCertFile), certPEM, 0o644); err != nil {
		return err
	}
	if err := syncDir(dir); err != nil {
		return err
	}
	if err := rename(dir, newKeyFile, KeyFile); err != nil {
		return err
	}
	return rename(dir, newCertFile, CertFile)
}

// writeFile writes a new file, never readable by others before it has its mode.
func writeFile(path string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode) // whatever the umask is
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func rename(dir, from, to string) error {
	if err := os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)); err != nil {
		return err
	}
	return syncDir(dir)
}

// clean removes what an interrupted creation left. It returns an error if dir
// holds a CA, or half of one that no creation left.
func clean(dir string) error {
	certPath, keyPath := filepath.Join(dir, CertFile), filepath.Join(dir, KeyFile)
	switch cert, key := present(certPath), present(keyPath); {
	case cert && key:
		return &Error{
			Kind: ErrExists, About: dir,
			Hint: "to make a new one, which every client must then trust anew, move " + quote(certPath) + " and " + quote(keyPath) + " away first",
		}
	case cert:
		return loneCert(certPath, keyPath)
	case key && !interrupted(dir):
		return &Error{
			Kind: ErrIncomplete, About: dir, Detail: KeyFile + " without " + CertFile,
			Hint: "put its certificate into " + quote(certPath) + ", or move " + quote(keyPath) + " away to have a new CA made",
		}
	}
	// The key goes before the certificate that shows whose it is.
	for _, name := range []string{KeyFile, newKeyFile, newCertFile} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return unwritable(dir, err)
		}
	}
	return nil
}

func loneCert(certPath, keyPath string) *Error {
	return &Error{
		Kind: ErrIncomplete, About: filepath.Dir(certPath), Detail: CertFile + " without " + KeyFile,
		Hint: "put its key into " + quote(keyPath) + " (chmod 600), or move " + quote(certPath) + " away to have a new CA made",
	}
}

// interrupted reports whether ca.key was made for the .ca.crt.new beside it. Any
// other lone key may be the only copy of something its owner is still copying.
func interrupted(dir string) bool {
	certPEM, _, err := readFile(filepath.Join(dir, newCertFile))
	if err != nil {
		return false
	}
	keyPEM, _, err := readFile(filepath.Join(dir, KeyFile))
	if err != nil {
		return false
	}
	chain, certFault := parseChain(certPEM)
	key, keyFault := parseKey(keyPEM)
	return certFault == nil && keyFault == nil && samePublic(chain[0].PublicKey, key.Public())
}

// present reports whether a name exists, even as a symbolic link to nowhere.
func present(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
