//go:build !unix

package http1

import "net"

// awaitReadable is for systems on which it saves something.
func awaitReadable(net.Conn) {}
