package rig

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A Curl is a way to run curl: without a proxy and a certificate unless said.
type Curl struct {
	Proxy  *Certproxy // go through it and trust its CA, with what is secret in each request, see [Marked]
	In     *Network
	CAFile string   // trusted without Proxy
	Pair   string   // present PAIR.cert with PAIR.key
	Args   []string // more arguments, such as --http2
}

// An Answer is what curl got.
type Answer struct {
	Exit    int    // curl's exit status; 0 when there was an answer
	Message string // what curl said went wrong
	Status  int
	Version string // "1.1", "2"
	Header  http.Header
	Body    []byte
}

func (a Answer) String() string {
	if a.Exit != 0 {
		return fmt.Sprintf("curl %d: %s", a.Exit, a.Message)
	}
	return fmt.Sprintf("%d over HTTP/%s: %.200q", a.Status, a.Version, a.Body)
}

// Do requests the URL. Its name resolves to 127.0.0.1, for this curl alone.
func (c Curl) Do(t testing.TB, address string, args ...string) Answer {
	t.Helper()
	dir := t.TempDir()
	body, header := filepath.Join(dir, "body"), filepath.Join(dir, "header")
	line := []string{
		"curl", "--disable", "--silent", "--show-error", "--max-time", "30",
		"--output", body, "--dump-header", header, "--write-out", "%{http_code} %{http_version}",
		// curl prints a proxy's answer to CONNECT among the headers otherwise.
		"--suppress-connect-headers",
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	if c.Proxy != nil {
		address = withQuery(u).String()
		line = append(line, "--proxy", c.Proxy.URL(), "--noproxy", "", "--cacert", c.Proxy.CAFile)
		for name, value := range markedFields() {
			line = append(line, "--header", name+": "+value)
		}
	} else {
		port := u.Port()
		if port == "" {
			port = "443"
		}
		line = append(line, "--resolve", net.JoinHostPort(u.Hostname(), port)+":127.0.0.1", "--cacert", c.CAFile)
	}
	if c.Pair != "" {
		line = append(line, "--cert", c.Pair+".cert", "--key", c.Pair+".key")
	}
	line = append(append(append(line, c.Args...), args...), address)
	line = c.In.Enter(line)

	cmd := exec.Command(line[0], line[1:]...)
	cmd.Env = Environment()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	answer := Answer{Exit: cmd.ProcessState.ExitCode(), Message: strings.TrimSpace(stderr.String())}
	status, version, _ := strings.Cut(stdout.String(), " ")
	answer.Version = version
	answer.Status, _ = strconv.Atoi(status) // 000 without an answer
	answer.Body, _ = os.ReadFile(body)      // not there without a body
	answer.Header = lastHeader(t, header)
	if c.Proxy != nil && answer.Header.Get("Proxy-Status") != "" { // certproxy's own
		for _, found := range Marked().In(answer.Message + answer.String()) {
			t.Errorf("certproxy's answer has %s", found)
		}
	}
	return answer
}

// lastHeader reads the final of the answers that curl wrote: 100 Continue may precede it.
func lastHeader(t testing.TB, path string) http.Header {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil || len(data) == 0 {
		return nil
	}
	answers := bytes.Split(bytes.TrimSuffix(data, []byte("\r\n\r\n")), []byte("\r\n\r\n"))
	_, fields, _ := bytes.Cut(answers[len(answers)-1], []byte("\r\n"))
	header, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(append(fields, "\r\n\r\n"...)))).ReadMIMEHeader()
	if err != nil {
		t.Fatalf("curl wrote headers that do not parse: %v", err)
	}
	return http.Header(header)
}
