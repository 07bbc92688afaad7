// Package systemd is what certproxy and systemd say to each other.
//
// The units that we ship are in this folder; the package holds the few lines of
// Go that belong to them. It knows nothing of certificates and proxies.
package systemd
