// Package bench compares certproxy with what else could stand in its place: nothing
// at all, nginx as a reverse proxy with the client certificate in its configuration,
// and squid that bumps TLS.
//
// All of them carry the same work from the same clients to the same origin, nginx
// that requires a client certificate, on one machine. So a rate holds client and
// origin too, which take their share of the processors; the processor time of the
// proxy's own processes does not, and is the figure to trust on a busy machine.
//
// The subjects take turns, in another order each round, and a proxy is started anew
// for each sample. Ratios are taken within a round, whose samples met the same
// neighbours, and the median of the rounds is what is reported.
//
// Nobody writes access logs. All speak TLS 1.3 with X25519 where it is for us to
// choose. Everything listens on 127.0.0.1 and needs neither names nor root.
package bench
