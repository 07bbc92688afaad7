package bench

import (
	"embed"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"text/template"

	"github.com/certproxy/certproxy/integration/rig"
)

//go:embed conf
var configurations embed.FS

const (
	small     = "/small"
	smallSize = 1 << 10
	blob      = "/blob"
	up        = "/up"
)

// An origin is nginx with TLS 1.3 that requires a client certificate.
type origin struct {
	*rig.Identities
	Port     int    // of the host that proxies are to intercept
	Unlisted int    // of the same server under an authority that they are to tunnel
	Sink     int    // of what takes uploads, behind it
	Dir      string // its files
	blob     int64  // size
}

func startOrigin(t testing.TB, blobSize int64) *origin {
	t.Helper()
	o := &origin{
		Identities: rig.NewIdentities(t, "127.0.0.1"),
		Port:       rig.Port(t),
		Unlisted:   rig.Port(t),
		Sink:       startSink(t),
		Dir:        rig.Dir(t),
		blob:       blobSize,
	}
	rig.Write(t, o.Dir, "www"+small, make([]byte, smallSize), 0o644)
	// A file with a hole: it is served from memory and takes no disk.
	file := rig.Write(t, o.Dir, "www"+blob, nil, 0o644)
	if err := os.Truncate(file, blobSize); err != nil {
		t.Fatal(err)
	}
	startNginx(t, o.Dir, o.Port, "origin.conf", o)
	return o
}

// authority is what stands behind CONNECT.
func authority(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// startSink takes uploads and answers 200 to those that are as long as the query
// says: nginx by itself can only write them to the disk.
func startSink(t testing.TB) int {
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.CopyBuffer(onlyWriter{io.Discard}, r.Body, make([]byte, 256<<10))
		if err != nil || strconv.FormatInt(n, 10) != r.URL.RawQuery {
			http.Error(w, fmt.Sprintf("%d bytes, %v", n, err), http.StatusBadRequest)
		}
	}))
	t.Cleanup(sink.Close)
	return sink.Listener.Addr().(*net.TCPAddr).Port
}

// onlyWriter keeps io.CopyBuffer from using a small buffer of its own.
type onlyWriter struct{ io.Writer }

func startNginx(t testing.TB, dir string, port int, config string, values any) *rig.Daemon {
	t.Helper()
	return rig.Start(t, rig.Process{
		Args: []string{"nginx", "-e", "stderr", "-p", dir, "-c", render(t, dir, config, values)},
		Port: port,
	})
}

// render fills in conf/NAME and writes it to dir.
func render(t testing.TB, dir, name string, values any) string {
	t.Helper()
	tmpl, err := template.ParseFS(configurations, filepath.Join("conf", name))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := tmpl.Execute(&out, values); err != nil {
		t.Fatal(err)
	}
	return rig.Write(t, dir, name, []byte(out.String()), 0o644)
}
