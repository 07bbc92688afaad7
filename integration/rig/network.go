package rig

import (
	"fmt"
	"os/exec"
	"testing"
)

// A Network is a network namespace with a loopback interface and nothing else.
// There even port 443 is free. The nil Network is the machine's own.
type Network struct{ path string }

// NewNetwork makes one for the duration of the test.
func NewNetwork(t testing.TB) *Network {
	t.Helper()
	needNamespaces(t)
	// The namespace lives as long as a process in it: cat, which ends with its input.
	holder := exec.Command("unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec cat")
	stdin, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		holder.Wait()
	})
	if _, err := fmt.Fscanln(stdout, new(string)); err != nil {
		t.Fatalf("no private network: %v", err)
	}
	return NetworkOf(holder.Process.Pid)
}

// NetworkOf is the network that a process is in, for as long as it runs.
func NetworkOf(pid int) *Network { return &Network{path: fmt.Sprintf("/proc/%d/ns/net", pid)} }

// Join connects two networks by a wire, with these addresses (as 192.0.2.1/24) at its
// ends. What is in one is another machine to the other.
func Join(t testing.TB, a *Network, addrA []string, b *Network, addrB []string) {
	t.Helper()
	OK(t, Command{Args: a.Enter([]string{"ip", "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", b.path})})
	for _, end := range []struct {
		*Network
		addrs []string
	}{{a, addrA}, {b, addrB}} {
		for _, addr := range end.addrs {
			OK(t, Command{Args: end.Enter([]string{"ip", "address", "add", addr, "dev", "wire"})})
		}
		OK(t, Command{Args: end.Enter([]string{"ip", "link", "set", "wire", "up"})})
	}
}

// Enter returns the command that runs args in the network.
func (n *Network) Enter(args []string) []string {
	if n == nil {
		return args
	}
	return append([]string{"nsenter", "--net=" + n.path, "--"}, args...)
}
