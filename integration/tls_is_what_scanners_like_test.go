package integration

import (
	"flag"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
)

// wholeScan has testssl.sh look at everything, which takes minutes.
var wholeScan = flag.Bool("tls.whole", false, "let testssl.sh look at everything")

// explained is what testssl.sh holds against a server, and why that is so here.
func explained() map[string]string {
	return map[string]string{
		"cert_chain_of_trust":   "the CA is the local one, or the operator's: no public list has it",
		"cert_expirationStatus": "a leaf lasts a week, and is minted again",
		"cert_notAfter":         "the same",
		"HTTP_status_code":      "it names the host without its port, which is another host: 421",
		"cert_revocation":       "nobody asks a CA on the own machine whether it revoked something: leaves last a week",
		"DNS_CAArecord":         "no public CA signs, so no record has to keep one from it",
		"HSTS":                  "the host's to say, for its own name",
		"engine_problem":        "of the machine that scans: its OpenSSL knows no GOST",
		"TLS_session_ticket":    "a ticket lasts seven days, the key of new ones a day, and none outlives the process",
	}
}

// What clients are shown has no weakness that testssl.sh or sslscan know of: inside CONNECT,
// and at a listener for other machines.
func TestTLSIsWhatScannersLike(t *testing.T) {
	t.Parallel()
	rig.Need(t, "testssl", "sslscan")
	id := rig.NewIdentities(t, name)
	server := rig.NginxNames(t, id)
	host := hostOf(server)
	certs := rig.Dir(t)
	id.HostDir(certs, host, id.Good)
	proxy := rig.Serve(t, rig.Options{Certs: certs, Names: []string{name}, Args: []string{
		"--listen", "tls:127.0.0.1:0",
		"--listen-cert", filepath.Join(id.Dir, "server.crt"), "--listen-key", filepath.Join(id.Dir, "server.key"),
	}})
	addrs := proxy.Listening(t, 2)

	for what, addr := range map[string]string{
		"inside CONNECT":   rig.Bridge(t, proxy, host),
		"the tls listener": strings.TrimPrefix(addrs[1], "tls:"),
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			// It starts a process for each byte, and sslscan sees the rest in a second: the listener,
			// which has the same settings, is for the whole scan.
			checks := []string{"--protocols", "--std"}
			if *wholeScan {
				checks = nil
			}
			if *wholeScan || what == "inside CONNECT" {
				t.Run("testssl.sh", func(t *testing.T) {
					t.Parallel()
					wantNothingFound(t, rig.Testssl(t, addr, name, checks...))
				})
			}
			t.Run("sslscan", func(t *testing.T) {
				t.Parallel()
				wantStrong(t, rig.Sslscan(t, addr, name))
			})
		})
	}
}

// wantNothingFound fails for each finding above INFO that has no explanation.
func wantNothingFound(t *testing.T, findings []rig.Finding) {
	t.Helper()
	seen := make(map[string]string)
	for _, f := range findings {
		seen[f.ID] = f.Text
		t.Logf("%-8s %s: %s", f.Severity, f.ID, f.Text)
		if f.Severity != "OK" && f.Severity != "INFO" && explained()[f.ID] == "" {
			t.Errorf("%s %s: %s", f.Severity, f.ID, f.Text)
		}
	}
	// It would find nothing in a server that does not answer.
	if !strings.HasPrefix(seen["TLS1_2"], "offered") || !strings.HasPrefix(seen["TLS1_3"], "offered") {
		t.Errorf("TLS 1.2: %q, TLS 1.3: %q", seen["TLS1_2"], seen["TLS1_3"])
	}
	for _, id := range []string{"SSLv2", "SSLv3", "TLS1", "TLS1_1", "cipherlist_NULL", "cipherlist_aNULL", "cipherlist_EXPORT", "cipherlist_LOW", "cipherlist_3DES_IDEA", "cipherlist_AVERAGE"} {
		if seen[id] != "not offered" {
			t.Errorf("%s: %q", id, seen[id])
		}
	}
}

func wantStrong(t *testing.T, scan rig.Scan) {
	t.Helper()
	var enabled []string
	for _, p := range scan.Protocols {
		if p.Enabled == "1" {
			enabled = append(enabled, p.Type+" "+p.Version)
		}
	}
	if !slices.Equal(enabled, []string{"tls 1.2", "tls 1.3"}) {
		t.Errorf("protocols: %q", enabled)
	}
	for _, c := range scan.Ciphers {
		t.Logf("%s %s %s", c.Version, c.Name, c.Strength)
		aead := strings.Contains(c.Name, "GCM") || strings.Contains(c.Name, "CHACHA20")
		if c.Strength != "strong" && c.Strength != "acceptable" || c.Bits < 128 || !aead {
			t.Errorf("cipher %s of %s is %s, %d bits", c.Name, c.Version, c.Strength, c.Bits)
		}
	}
	for _, g := range scan.Groups {
		if g.Bits < 112 {
			t.Errorf("group %s has %d bits", g.Name, g.Bits)
		}
	}
	if scan.Compression.Supported == "1" {
		t.Error("compression (CRIME)")
	}
	if scan.Renegotiation.Supported == "1" && scan.Renegotiation.Secure != "1" {
		t.Error("insecure renegotiation")
	}
	for _, h := range scan.Heartbleed {
		if h.Vulnerable != "0" {
			t.Errorf("heartbleed in %s", h.Version)
		}
	}
}
