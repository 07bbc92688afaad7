// Package access answers one question about a connection: who is at its other end,
// and may they?
//
// [Lookup.Peer] asks the kernel, and nobody else, who the peer is: SO_PEERCRED on a
// unix socket, and for TCP within this machine the kernel's table of sockets, by
// netlink sock_diag. [Policy] and [Decide] say whether a peer may use the identities
// of a host, or have a tunnel to it. The package writes no log line and starts no
// goroutine; whoever refuses a request has a [Refusal] with the words for it.
//
// What it promises: a uid is told only when the kernel named the owner of exactly the
// peer's socket at a moment at which the connection still was that peer's. In doubt
// the peer is unknown, and an unknown peer is no user at all: never root.
//
// # Why the netlink messages are our own
//
// One exact question needs a message of 72 bytes and an answer of 88. Of the libraries,
// vishvananda/netlink opens a socket for each question and brings the whole of network
// configuration with it; mdlayher/netlink carries messages well, but knows nothing of
// sock_diag, so what is delicate here would be ours with it too. golang.org/x/sys/unix
// has all that is left. There is no way back to /proc/net/tcp: it reads every socket of
// the machine for one, and gives no consistent view of them.
package access
