package listen

import (
	"fmt"
	"io/fs"
	"net/netip"
	"strings"

	"github.com/certproxy/certproxy/certs"
)

// A Kind is where the socket of a listener comes from.
type Kind uint8

const (
	TCP     Kind = iota + 1 // HOST:PORT
	Unix                    // unix:PATH
	Systemd                 // systemd:NAME
)

// A Spec says what to listen on, in canonical form. Specs can be compared with ==.
type Spec struct {
	TLS  bool // the clients speak TLS
	Kind Kind
	// Addr is the host and port, the host being an IP address or, for all addresses of
	// the machine, empty; or the absolute path; or the name of the socket.
	Addr  string
	Mode  fs.FileMode // who may connect to a unix socket: those who may write to it
	Group string      // of a unix socket, a name or number; empty leaves it to the system
}

// Parse reads what an operator writes:
//
//	HOST:PORT         TCP on one address: 127.0.0.1:3128, [::1]:3128, [fe80::1%eth0]:3128; port 0 picks one
//	:PORT             TCP on all addresses, of IPv4 and IPv6
//	unix:PATH         a unix socket at an absolute path
//	systemd:NAME      the sockets that systemd passed under this name (FileDescriptorName=)
//	tls:...           one of these, with TLS
//
// An address stands for itself: 0.0.0.0 is all of IPv4 and [::] all of IPv6, and localhost is
// 127.0.0.1. Other names are refused: what they mean may change, and may be another machine.
//
// unix:PATH takes ",mode=0660" and ",group=NAME" (or a gid). Connecting needs the permission to
// write. The mode is 0600, so certproxy's own user and root, and 0660 where a group is
// named: whoever shall reach the proxy is let in on purpose, as to any other socket, and who may
// use the certificates is asked again of each connection.
func Parse(text string) (Spec, error) {
	rest, withTLS := strings.CutPrefix(text, "tls:")
	var spec Spec
	var err error
	if path, ok := strings.CutPrefix(rest, "unix:"); ok {
		spec, err = parseUnix(path)
	} else if name, ok := strings.CutPrefix(rest, "systemd:"); ok {
		spec, err = parseSystemd(name)
	} else {
		spec, err = parseTCP(rest)
	}
	if err != nil {
		return Spec{}, fmt.Errorf("%s %w", show(text), err)
	}
	spec.TLS = withTLS
	return spec, nil
}

// ParseForward reads ADDR=HOST[:PORT], a listener that is a host for its clients, and
// returns the host in canonical form. ADDR is what [Parse] reads.
func ParseForward(text string) (spec Spec, host string, err error) {
	const form = "is not of the form ADDR=HOST[:PORT], as in 127.0.0.1:5001=registry.example:5000"
	at := strings.LastIndexByte(text, '=') // hosts have none, the options of a unix socket do
	if at < 0 {
		return Spec{}, "", fmt.Errorf("%s %s", show(text), form)
	}
	spec, err = Parse(text[:at])
	if err != nil {
		if whole, wrong := Parse(text); wrong == nil {
			return Spec{}, "", fmt.Errorf("%s names no host; write %s=HOST[:PORT]", show(text), whole)
		}
		return Spec{}, "", err
	}
	host, err = certs.ParseHost(text[at+1:])
	if err != nil {
		return Spec{}, "", fmt.Errorf("the host behind %s=: %w", spec, err)
	}
	return spec, host, nil
}

// String returns the canonical text, which [Parse] reads as the same spec.
func (s Spec) String() string {
	var text strings.Builder
	if s.TLS {
		text.WriteString("tls:")
	}
	switch s.Kind {
	case Unix:
		text.WriteString("unix:")
	case Systemd:
		text.WriteString("systemd:")
	}
	text.WriteString(s.Addr)
	if s.Kind == Unix && s.Mode != 0 && s.Mode != usualMode(s.Group) {
		fmt.Fprintf(&text, ",mode=%04o", s.Mode)
	}
	if s.Group != "" {
		text.WriteString(",group=" + s.Group)
	}
	return text.String()
}

// Beyond reports whether peers on other machines could reach it, as [Listener.Beyond] does.
// What systemd passes is known only once it is open: of that it reports false.
func (s Spec) Beyond() bool {
	if s.Kind != TCP {
		return false
	}
	at, err := netip.ParseAddrPort(s.Addr)
	return err != nil || !loopback(at.Addr())
}

// show quotes what was written for an error: within a bound, and nothing secret of a URL.
func show(text string) string {
	if !strings.HasPrefix(text, "unix:") && !strings.HasPrefix(text, "tls:unix:") {
		text = certs.WithoutSecrets(text)
	}
	return fmt.Sprintf("%.150q", text)
}
