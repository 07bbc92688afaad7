package certs

import (
	"fmt"

	"github.com/certproxy/certproxy/internal/shell"
)

// A Kind says what is wrong, in words that never change. It is an error, so that
// errors.Is(problem, certs.ErrNoKey) finds it.
type Kind string

// Error returns the words.
func (k Kind) Error() string { return string(k) }

// What can be wrong with a file, a host directory or a root.
const (
	ErrNoKey           Kind = "certificate without a key"
	ErrNoCert          Kind = "key without a certificate"
	ErrMismatch        Kind = "key does not match the certificate"
	ErrEncrypted       Kind = "key is encrypted"
	ErrNotPEM          Kind = "not a PEM file that can be used"
	ErrUnreadable      Kind = "cannot be read"
	ErrKeyExposed      Kind = "key can be read by other users"
	ErrExpired         Kind = "certificate has expired"
	ErrNotYetValid     Kind = "certificate is not valid yet"
	ErrExpiresSoon     Kind = "certificate expires soon"
	ErrNoClientAuth    Kind = "certificate is not meant for clients"
	ErrChainIncomplete Kind = "intermediate certificate is missing from the chain"
	ErrNoCARoot        Kind = "no certificate in a .crt file"
	ErrExtension       Kind = "file name extension is not read"
	ErrKubernetesNames Kind = "tls.crt and tls.key are not read as a pair"
	ErrIsDirectory     Kind = "is a directory where a file is expected"
	ErrMisspelt        Kind = "directory name is misspelt"
	ErrEmpty           Kind = "host directory is empty"
	ErrHostName        Kind = "directory name is not a host"
	ErrDockerHub       Kind = "no client connects to docker.io"
	ErrWildcard        Kind = "wildcards never carry client keys"
	ErrDuplicate       Kind = "another directory of this root is used for the host"
	ErrStray           Kind = "file lies outside a host directory"
	ErrContainerd      Kind = "containerd's hosts.toml is not read"
	ErrRoot            Kind = "root cannot be read"
)

// A Problem is something in a root that cannot be used, or not for long. It never
// carries key material.
type Problem struct {
	Kind   Kind
	Host   string // canonical name:port; empty where the problem is the root's
	Pair   string // "client"; empty where it is about no pair
	Path   string // the file or directory
	Detail string // the cause, where Kind does not say it all
	Hint   string // what to do: a command or an edit
	Used   bool   // a warning: the file is used all the same
}

// Error names the path and the cause.
func (p Problem) Error() string {
	if p.Detail == "" {
		return fmt.Sprintf("%s: %s", p.Path, p.Kind)
	}
	return fmt.Sprintf("%s: %s: %s", p.Path, p.Kind, p.Detail)
}

// Unwrap returns the kind.
func (p Problem) Unwrap() error { return p.Kind }

// quote makes a path safe to paste into a POSIX shell.
func quote(path string) string { return shell.Quote(path) }
