package ca

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/certproxy/certproxy/internal/shell"
)

// A Kind says what is wrong, in words that never change. It is an error, so that
// errors.Is(err, ca.ErrNone) finds it.
type Kind string

// Error returns the words.
func (k Kind) Error() string { return string(k) }

// What can be wrong with a CA, its state directory, or what is asked of it.
const (
	ErrNone         Kind = "no CA is there"
	ErrExists       Kind = "a CA is there already"
	ErrIncomplete   Kind = "half a CA is there"
	ErrBusy         Kind = "another process is making a CA"
	ErrUnreadable   Kind = "cannot be read"
	ErrUnwritable   Kind = "cannot be written"
	ErrNotPEM       Kind = "not a PEM file that can be used"
	ErrEncrypted    Kind = "key is encrypted"
	ErrKeyExposed   Kind = "key can be read by other users"
	ErrMismatch     Kind = "key does not match the certificate"
	ErrNotCA        Kind = "certificate may not sign the certificates of servers"
	ErrChain        Kind = "chain is broken"
	ErrExpired      Kind = "CA has expired"
	ErrNotYetValid  Kind = "CA is not valid yet"
	ErrName         Kind = "neither a host name nor an IP address"
	ErrDomain       Kind = "not a domain that can be permitted"
	ErrNotPermitted Kind = "outside the name constraints of the CA"
)

// An Error names the thing at fault and the cause once, then what to do. It never
// carries key material.
type Error struct {
	Kind   Kind
	About  string // the file, the directory or the host
	Detail string // the cause, where Kind does not say it all
	Hint   string // what to do
	Err    error  // of the system, if that is the cause; Detail has its text
}

// Error returns one line: thing, cause, hint.
func (e *Error) Error() string {
	text := fmt.Sprintf("%s: %s", e.About, e.Kind)
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return text
}

// Unwrap returns the kind, and the system's error if there is one.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}

// unreadable explains why a file of the state directory cannot be read.
func unreadable(path string, err error) *Error {
	if !errors.Is(err, fs.ErrPermission) {
		return &Error{Kind: ErrUnreadable, About: path, Detail: cause(err), Hint: "put a readable file there", Err: err}
	}
	path = barrier(path)
	return &Error{
		Kind: ErrUnreadable, About: path, Detail: access(path), Err: err,
		Hint: "run certproxy as its owner, or give it to that user: chown USER " + quote(path),
	}
}

// unwritable explains why the state directory cannot be made or written.
func unwritable(dir string, err error) *Error {
	out := &Error{
		Kind: ErrUnwritable, About: dir, Detail: cause(err), Err: err,
		Hint: "make room for a CA there, or name another directory with --state",
	}
	info, statErr := os.Stat(dir)
	switch {
	case statErr == nil && !info.IsDir():
		out.Detail, out.Hint = "it is a file, not a directory", "name a directory with --state"
	case errors.Is(err, fs.ErrPermission):
		for statErr != nil && filepath.Dir(dir) != dir { // it was to be made: who forbids it lies above
			dir = filepath.Dir(dir)
			_, statErr = os.Stat(dir)
		}
		out.Detail = access(dir)
		if dir != out.About {
			out.Detail = dir + " has " + out.Detail
		}
		out.Hint = "give it to that user (chown USER " + quote(dir) + "), or name another directory with --state"
	}
	return out
}

// barrier returns the file, or the directory above it that hides even its mode.
func barrier(path string) string {
	for {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrPermission) || filepath.Dir(path) == path {
			return path
		}
		path = filepath.Dir(path)
	}
}

// access says what decides a refusal: the mode, the owner and who tried.
func access(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return "permission denied, and certproxy runs as " + currentUser()
	}
	return fmt.Sprintf("mode %04o, owner %s, and certproxy runs as %s", info.Mode().Perm(), owner(info), currentUser())
}

// cause strips the path, which the caller names already, from an error.
func cause(err error) string {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err.Error()
	}
	if le, ok := errors.AsType[*os.LinkError](err); ok {
		return le.Err.Error()
	}
	return err.Error()
}

// quote makes a path safe to paste into a POSIX shell.
func quote(path string) string { return shell.Quote(path) }
