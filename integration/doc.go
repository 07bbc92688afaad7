// Package integration shows certproxy's promises with the built binary, against
// real servers and real clients, each promise in a file named for it.
//
// The servers and clients come from Debian (setup.sh installs them) and, for
// crane, from this module's tool entry. Every test first shows what happens
// without certproxy. The daemons listen on ports the kernel chose, on 127.0.0.1,
// keep everything in a directory of their own, and end with their test.
//
// CERTPROXY_BIN names a built binary to test; without it one is built, with the
// race detector where that is possible.
package integration
