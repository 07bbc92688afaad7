package rig

import (
	"fmt"
	"testing"
)

// Balancer starts HAProxy in front of addresses, and returns its own: each new
// connection goes to the next, as through a Service of Kubernetes.
func Balancer(t testing.TB, backends ...string) (addr string) {
	t.Helper()
	Need(t, "haproxy")
	values := struct {
		Port     int
		Backends []string
	}{Port(t), backends}
	Start(t, Process{Args: []string{"haproxy", "-db", "-f", render(t, Dir(t), "haproxy-balance.cfg", values)}, Port: values.Port})
	return fmt.Sprintf("127.0.0.1:%d", values.Port)
}
