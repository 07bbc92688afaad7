package rig

import (
	"encoding/json"
	"encoding/xml"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A Finding is what testssl.sh says of one property of a server (its flat JSON).
type Finding struct {
	ID       string `json:"id"`
	Severity string `json:"severity"` // DEBUG, INFO, OK, LOW, MEDIUM, HIGH, CRITICAL, WARN, FATAL
	Text     string `json:"finding"`
}

// Testssl lets testssl.sh look at a TLS server under a name; checks are its options, and
// none of them means all there is, which takes minutes.
func Testssl(t testing.TB, addr, name string, checks ...string) []Finding {
	t.Helper()
	Need(t, "testssl", "openssl")
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "findings.json")
	args := append([]string{"testssl", "--color", "0", "--warnings", "batch", "--nodns", "none", "--ip", "127.0.0.1", "--jsonfile", file}, checks...)
	// It ends with the number of what it found, which is in the file.
	r := Run(t, Command{Args: append(args, name+":"+port), Dir: t.TempDir(), Names: []string{name}, Within: 9 * time.Minute})
	var out []Finding
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil || len(out) == 0 {
		t.Fatalf("testssl.sh told nothing of %s: %v\n%s%s", addr, err, r.Stdout, r.Stderr)
	}
	return out
}

// A Scan is what sslscan says of a server (its XML).
type Scan struct {
	Protocols []struct {
		Type    string `xml:"type,attr"` // "ssl" or "tls"
		Version string `xml:"version,attr"`
		Enabled string `xml:"enabled,attr"` // "0" or "1"
	} `xml:"protocol"`
	Ciphers []struct {
		Version  string `xml:"sslversion,attr"`
		Name     string `xml:"cipher,attr"`
		Bits     int    `xml:"bits,attr"`
		Strength string `xml:"strength,attr"` // "strong", "acceptable", "weak", "null", "anonymous"
	} `xml:"cipher"`
	Groups []struct {
		Name string `xml:"name,attr"`
		Bits int    `xml:"bits,attr"`
	} `xml:"group"`
	Compression struct {
		Supported string `xml:"supported,attr"`
	} `xml:"compression"`
	Renegotiation struct {
		Supported string `xml:"supported,attr"`
		Secure    string `xml:"secure,attr"`
	} `xml:"renegotiation"`
	Heartbleed []struct {
		Version    string `xml:"sslversion,attr"`
		Vulnerable string `xml:"vulnerable,attr"`
	} `xml:"heartbleed"`
}

// Sslscan lets sslscan look at a TLS server under a name.
func Sslscan(t testing.TB, addr, name string) Scan {
	t.Helper()
	Need(t, "sslscan")
	file := filepath.Join(t.TempDir(), "scan.xml")
	r := Run(t, Command{Args: []string{"sslscan", "--xml=" + file, "--sni-name=" + name, addr}})
	var document struct {
		Test Scan `xml:"ssltest"`
	}
	text, err := os.ReadFile(file)
	if err == nil {
		err = xml.Unmarshal(text, &document)
	}
	if err != nil || len(document.Test.Protocols) == 0 || len(document.Test.Ciphers) == 0 {
		t.Fatalf("sslscan told nothing of %s: %v\n%s%s\n%s", addr, err, r.Stdout, r.Stderr, text)
	}
	return document.Test
}
