//go:build !unix

package proxy

import "net"

// quiet is not known here: the next use of the connection tells.
func quiet(net.Conn) bool { return true }
