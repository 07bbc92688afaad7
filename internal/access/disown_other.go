//go:build !linux

package access

import "syscall"

// Disown does nothing: every peer on this machine is unknown here.
func Disown(string, syscall.RawConn) error { return nil }
