package rig

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
)

// Secrets finds private keys, credentials and the like in what certproxy shows: whole,
// in parts, and in the encodings in which programs let them slip.
type Secrets struct {
	// of has each piece of window bytes of each form of each secret, and what it is of.
	of map[[window]byte]string
	// maybe has a bit for each of them, by a hash of the first bytes: logs are long, and
	// nearly everything in them is passed over by a look at it.
	maybe []uint64
	read  map[string]bool // private keys that are in there, by their bytes
}

// window is how much of a secret is too much: less would be found by chance.
const window = 16

// hashBits is the binary logarithm of the number of bits in Secrets.maybe.
const hashBits = 20

// NewSecrets returns those that know nothing.
func NewSecrets() *Secrets {
	return &Secrets{of: map[[window]byte]string{}, maybe: make([]uint64, 1<<hashBits/64), read: map[string]bool{}}
}

func hash(b []byte) uint64 {
	return binary.LittleEndian.Uint64(b) * 0x9e3779b97f4a7c15 >> (64 - hashBits)
}

// Add has the text found from now on, in each encoding; what says what it is. It has
// to have 16 bytes or more.
func (s *Secrets) Add(what string, secret []byte) {
	s.add(what, secret)
	s.add(what+" in hex", []byte(hex.EncodeToString(secret)))
	s.add(what+" in hex", []byte(strings.ToUpper(hex.EncodeToString(secret))))
	// What stands before it decides which three bytes become four letters.
	for skip := range 3 {
		whole := secret[skip:]
		whole = whole[:len(whole)/3*3]
		s.add(what+" in base64", []byte(base64.StdEncoding.EncodeToString(whole)))
		s.add(what+" in base64url", []byte(base64.URLEncoding.EncodeToString(whole)))
	}
	list := fmt.Append(nil, secret) // [104 117 115 104]
	s.add(what+" as a list of numbers", list[1:len(list)-1])
}

// add has exactly these bytes found.
func (s *Secrets) add(what string, form []byte) {
	for ; len(form) >= window; form = form[1:] {
		piece := [window]byte(form)
		if _, known := s.of[piece]; !known {
			s.of[piece] = what
		}
		h := hash(form)
		s.maybe[h/64] |= 1 << (h % 64)
	}
}

// AddKeys adds the private keys among PEM blocks, as far as they can be parsed. Only
// what is private of a key counts: its public half, and the names of its algorithms,
// are in certificates too.
func (s *Secrets) AddKeys(what string, data []byte) {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") || s.read[string(block.Bytes)] {
			continue
		}
		s.read[string(block.Bytes)] = true
		for _, secret := range privateParts(block.Bytes) {
			s.Add("private key "+what, secret)
			s.add("private key "+what+" as a number", []byte(new(big.Int).SetBytes(secret).String()))
		}
	}
}

// privateParts returns the numbers of a key that only its owner knows.
func privateParts(der []byte) [][]byte {
	var key any
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		key, err = x509.ParsePKCS1PrivateKey(der)
	}
	if err != nil {
		key, err = x509.ParseECPrivateKey(der)
	}
	if err != nil {
		return nil // encrypted, or the test's point is that it is none
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		parts := [][]byte{key.D.Bytes(), key.Precomputed.Dp.Bytes(), key.Precomputed.Dq.Bytes(), key.Precomputed.Qinv.Bytes()}
		for _, prime := range key.Primes {
			parts = append(parts, prime.Bytes())
		}
		return parts
	case *ecdsa.PrivateKey:
		scalar, err := key.Bytes()
		if err != nil {
			return nil
		}
		return [][]byte{scalar}
	case ed25519.PrivateKey:
		return [][]byte{key.Seed()}
	}
	return nil
}

// AddKeysBelow adds the private keys in a file, or in all files below a directory; both
// need not exist.
func (s *Secrets) AddKeysBelow(path string) {
	// What cannot be read here is a test's doing, which certproxy cannot read either.
	_ = filepath.WalkDir(path, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // see above
		}
		info, err := os.Stat(file) // of what a link leads to
		if err != nil || !info.Mode().IsRegular() || info.Size() > 1<<20 {
			return nil //nolint:nilerr // see above
		}
		if data, err := os.ReadFile(file); err == nil && bytes.Contains(data, []byte("PRIVATE KEY-----")) {
			s.AddKeys(file, data)
		}
		return nil
	})
}

// In returns what of the secrets is in the text, each with what is around its first
// piece. The beginning of a PEM block counts whatever is in it.
func (s *Secrets) In(text string) []string {
	var found []string
	if at := strings.Index(text, "-----BEGIN"); at >= 0 {
		found = append(found, "a PEM block: "+around(text, at))
	}
	data := []byte(text)
	seen := map[string]bool{}
	for at := 0; at+window <= len(data); at++ {
		h := hash(data[at:])
		if s.maybe[h/64]>>(h%64)&1 == 0 {
			continue
		}
		if what, ok := s.of[[window]byte(data[at:])]; ok && !seen[what] {
			seen[what] = true
			found = append(found, what+": "+around(text, at))
		}
	}
	return found
}

// around is the text at this place with its neighbourhood.
func around(text string, at int) string {
	return fmt.Sprintf("%q", text[max(0, at-200):min(len(text), at+200)])
}
