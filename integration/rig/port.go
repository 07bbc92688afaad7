package rig

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
)

// Port returns a TCP port of 127.0.0.1 for a daemon that has to be told one.
//
// A port that was only bound and closed could be given to any connection made
// before the daemon starts. So a connection to it is made and closed from the
// listening side: the port is then in TIME_WAIT for a minute, during which the
// kernel gives it to nobody, and a listener (SO_REUSEADDR) may still bind it.
func Port(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	server.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// listens says whether a TCP port has a listener in the network of the process.
// It looks instead of connecting, which no server then logs as a failed handshake.
func listens(pid, port int) bool {
	table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", pid))
	if err != nil {
		return false
	}
	const listening = "0A"
	for row := range strings.Lines(string(table)) {
		// sl local_address rem_address st ...: "0: 0100007F:1F90 00000000:0000 0A ..."
		f := strings.Fields(row)
		if len(f) > 3 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) && f[3] == listening {
			return true
		}
	}
	return false
}
