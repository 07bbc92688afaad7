package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
	"github.com/certproxy/certproxy/internal/throwaway"
)

// nginx answers by the certificate's name: 403, 404, 503, 200. The fourth is
// reached, in the order of the file names, and the log tells the way there.
func TestPairsAreTriedInOrder(t *testing.T) {
	t.Parallel()
	id := rig.NewIdentities(t, name)
	statuses := []int{403, 404, 503, 200}
	var pairs []*throwaway.Certificate
	for i := range statuses {
		pair := id.CA.Issue(throwaway.Options{Name: "pair-" + string(rune('a'+i))})
		pair.WritePair(id.Dir, string(rune('a'+i)))
		pairs = append(pairs, pair)
	}
	s := rig.NginxStatuses(t, id)
	host := fmt.Sprintf("%s:%d", name, s.Port)

	direct := s.Direct()
	if got := direct.Do(t, "https://"+host+"/"); got.Status != 403 {
		t.Errorf("without a certificate: %v; want 403", got)
	}
	for i, want := range statuses {
		direct.Pair = s.Pair(string(rune('a' + i)))
		if got := direct.Do(t, "https://"+host+"/"); got.Status != want {
			t.Errorf("pair %d without certproxy: %v; want %d", i, got, want)
		}
	}

	certs := rig.Dir(t)
	s.HostDir(certs, host, pairs...)
	proxy := rig.Serve(t, rig.Options{Certs: certs, Names: []string{name}})
	before := strings.Count(string(rig.Read(t, s.AccessLog())), "\n")
	got := rig.Curl{Proxy: proxy}.Do(t, "https://"+host+"/hello")
	if got.Status != 200 || string(got.Body) != "hello CN=pair-d\n" {
		t.Fatalf("through certproxy: %v; want 200 as pair-d", got)
	}

	var arrived []string
	for _, line := range strings.Split(strings.TrimSpace(string(rig.Read(t, s.AccessLog()))), "\n")[before:] {
		f := strings.Fields(line)
		arrived = append(arrived, f[0]+" "+strings.Trim(f[1], `"`))
	}
	if want := []string{"403 CN=pair-a", "404 CN=pair-b", "503 CN=pair-c", "200 CN=pair-d"}; !slices.Equal(arrived, want) {
		t.Errorf("nginx saw %q; want %q", arrived, want)
	}

	served := proxy.WaitLine(t, "request served", func(l rig.Line) bool { return l.Text("path") == "/hello" })
	if served.Text("host") != host || served.Text("pair") != "d" || served.Number("attempts") != 4 || served.Number("status") != 200 {
		t.Errorf("logged %v; want host %s, pair d, 4 attempts, status 200", served, host)
	}
	var failed []string
	for _, l := range proxy.Lines("attempt failed") {
		failed = append(failed, l.Text("pair")+" "+l.Text("outcome"))
	}
	for i, want := range []string{"a 403", "b 404", "c 503"} {
		pair, status, _ := strings.Cut(want, " ")
		if len(failed) != 3 || !strings.HasPrefix(failed[i], pair+" ") || !strings.Contains(failed[i], status) {
			t.Fatalf("logged the attempts %q; want pair a with 403, b with 404, c with 503", failed)
		}
	}
}
