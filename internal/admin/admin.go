// Package admin shows what a running proxy is doing, and changes nothing: a status page,
// the same facts as JSON, metrics, health, and Go's profiles.
//
// It is for whoever runs the proxy. Who may connect is decided for each connection;
// what a browser could be made to send by a page of another site is refused. No key,
// query, cookie or Authorization comes here, so none can be shown.
package admin

import (
	"crypto/x509"
	"embed"
	"errors"
	"html/template"
	"io/fs"
	"net"
	"net/http"
	"net/http/pprof"
	"sync/atomic"
	"time"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/metrics"
	"github.com/certproxy/certproxy/proxy"
)

//go:embed assets
var assets embed.FS

// Config is where the page gets what it shows. All fields are required but those that say
// what nil means.
type Config struct {
	Version     string
	Started     time.Time
	Roots       []string // paths
	CA          *x509.Certificate
	Fingerprint string // of CA
	Index       func() *certs.Index
	Stats       func() proxy.Stats
	Metrics     *metrics.Metrics
	Recent      *Recent

	// Reloads tells of the times that the configuration was read again; nil tells of none.
	Reloads func() Reloads
	// Ready returns why the proxy does not serve, or nil. nil is always ready.
	Ready func() error
	// Admit returns why whoever has connected may not see anything but health, or nil.
	// It is asked when a connection was accepted. nil admits everybody.
	Admit func(net.Conn) error
	// Streams is how many event streams there may be at once; 0 means 16.
	Streams int
	// Now is the clock; nil is the machine's.
	Now func() time.Time
}

// A Listener is where clients reach the proxy.
type Listener struct {
	Addr    string `json:"addr"`
	Forward string `json:"forward,omitempty"` // the host that it is for its clients
}

// A Handler answers the requests of the admin listener. Its connections have to come
// from [Handler.Serve].
type Handler struct {
	config  Config
	page    *template.Template
	routes  http.Handler
	streams chan struct{} // one for each event stream that is open
	doors   atomic.Pointer[[]Listener]
	seen    revision
}

// New returns a handler.
func New(config Config) (*Handler, error) {
	if config.Index == nil || config.Stats == nil || config.Metrics == nil || config.Recent == nil || config.CA == nil {
		return nil, errors.New("admin: Index, Stats, Metrics, Recent and CA are required")
	}
	if config.Ready == nil {
		config.Ready = func() error { return nil }
	}
	if config.Admit == nil {
		config.Admit = func(net.Conn) error { return nil }
	}
	if config.Streams == 0 {
		config.Streams = 16
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	page, err := template.New("page.html").Funcs(words(config.Now)).ParseFS(assets, "assets/page.html")
	if err != nil {
		return nil, err
	}
	h := &Handler{config: config, page: page, streams: make(chan struct{}, config.Streams)}
	h.routes, err = h.newRoutes()
	h.Listening([]Listener{})
	return h, err
}

func (h *Handler) newRoutes() (http.Handler, error) {
	open, mux := http.NewServeMux(), http.NewServeMux()
	open.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok") })
	open.HandleFunc("/readyz", h.serveReady)
	open.Handle("/", h.admitted(mux))

	mux.HandleFunc("/{$}", h.servePage)
	mux.HandleFunc("/api/status", h.serveStatus)
	mux.HandleFunc("/events", h.serveEvents)
	mux.Handle("/metrics", h.config.Metrics.Handler())
	// Not its cmdline: the flags may have a proxy's password in a URL.
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", http.NotFound)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	files, err := fs.Sub(assets, "assets")
	if err != nil {
		return nil, err
	}
	for name, kind := range map[string]string{"style.css": "text/css; charset=utf-8", "script.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml"} {
		content, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		mux.HandleFunc("/"+name, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			_, _ = w.Write(content)
		})
	}
	return guarded(open), nil
}

// Listening says where clients reach the proxy.
func (h *Handler) Listening(at []Listener) { h.doors.Store(&at) }

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.routes.ServeHTTP(w, r) }

func (h *Handler) serveReady(w http.ResponseWriter, _ *http.Request) {
	if err := h.config.Ready(); err != nil {
		plain(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	plain(w, http.StatusOK, "ok")
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n"))
}
