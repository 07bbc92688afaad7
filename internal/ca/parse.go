package ca

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
)

// What parses PEM here returns an *Error without About, which the caller adds.

// parseChain returns the certificates of a file, at least one.
func parseChain(data []byte) ([]*x509.Certificate, *Error) {
	var chain []*x509.Certificate
	found := ""
	for rest := trimBOM(data); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if found = block.Type; block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, notPEM(fmt.Sprintf("certificate %d does not parse: %v", len(chain)+1, err), CertFile)
		}
		chain = append(chain, cert)
	}
	if len(chain) == 0 {
		return nil, notPEM(missing(data, "CERTIFICATE", found), CertFile)
	}
	return chain, nil
}

// parseKey returns the first private key of a file. Its errors tell nothing about
// the bytes: not even the parser's, which may quote some.
func parseKey(data []byte) (crypto.Signer, *Error) {
	found := ""
	for rest := trimBOM(data); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, notPEM(missing(data, "PRIVATE KEY", found), KeyFile)
		}
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY",
			strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"): // RFC 1421
			return nil, &Error{
				Kind: ErrEncrypted, Detail: "it needs a passphrase, and a proxy has nobody to ask",
				Hint: "decrypt it: (umask 077; openssl pkey -in ca.key -out ca.key.plain), and put the result in its place",
			}
		case block.Type == "PRIVATE KEY" || strings.HasSuffix(block.Type, " PRIVATE KEY"):
			key := parseKeyDER(block.Bytes)
			if key == nil {
				return nil, notPEM("its "+block.Type+" block does not hold an RSA, ECDSA or Ed25519 key", KeyFile)
			}
			return key, nil
		}
		found = block.Type // EC PARAMETERS stand before many an EC key
	}
}

// parseKeyDER tries each encoding, for the block's label is often wrong.
func parseKeyDER(der []byte) crypto.Signer {
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		signer, _ := key.(crypto.Signer) // an ECDH key is none
		return signer
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key
	}
	return nil
}

func notPEM(detail, name string) *Error {
	return &Error{
		Kind: ErrNotPEM, Detail: detail,
		Hint: "restore " + name + " from a backup, or move " + CertFile + " and " + KeyFile + " away to have a new CA made",
	}
}

// missing says what a file without the wanted PEM block holds instead. It quotes
// no more than the label of a block.
func missing(data []byte, want, found string) string {
	switch {
	case len(bytes.TrimSpace(data)) == 0:
		return "the file is empty"
	case found != "":
		return fmt.Sprintf("no %s block; it holds a block %.40q", want, found)
	case data[0] == 0x30: // an ASN.1 SEQUENCE
		return fmt.Sprintf("no %s block; it looks like DER or PKCS#12", want)
	case bytes.Contains(data, []byte("-----BEGIN")):
		return fmt.Sprintf("no whole %s block; it may be cut off or half-written", want)
	default:
		return fmt.Sprintf("no %s block", want)
	}
}

// trimBOM removes the byte-order mark some editors put before the first line.
func trimBOM(data []byte) []byte { return bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) }
