// Package architecture holds the project to its own map: which folder may import
// what, and which names of an outside package nobody may use. It has only tests.
//
// ARCHITECTURE.md draws the same map for people.
package architecture

const module = "github.com/certproxy/certproxy"

// A folder says what the Go files in it may import beside the standard library.
// What is not listed is forbidden, and so is a folder that is not listed: adding a
// line here is how a new dependency is decided on.
type folder struct {
	dir     string
	ours    []string // folders of this module
	outside []string // import paths, exactly; a path that ends in /... with all below it
	why     string   // why no more than that
}

func folders() []folder {
	return []folder{
		{
			dir:     "cmd/certproxy",
			ours:    []string{"proxy", "certs", "watch", "systemd", "internal/access", "internal/admin", "internal/ca", "internal/check", "internal/child", "internal/config", "internal/environment", "internal/htpasswd", "internal/listen", "internal/listing", "internal/metrics", "internal/scratch", "internal/service", "internal/shell", "internal/throwaway", "internal/trust", "internal/upstreamproxy"},
			outside: []string{"github.com/spf13/cobra", "github.com/spf13/cobra/doc", "github.com/cpuguy83/go-md2man/v2/md2man", "github.com/spf13/pflag", "go.uber.org/zap/...", "golang.org/x/term"},
			why:     "it builds the parts and connects them; what a part does with an outside package stays in the part",
		},
		{
			dir:     "proxy",
			ours:    []string{"certs", "internal/http1", "internal/strength", "internal/upstreamproxy"},
			outside: []string{"github.com/elazarl/goproxy", "go.uber.org/zap/...", "golang.org/x/net/...", "golang.org/x/sys/unix"},
			why:     "it asks small interfaces of its own for the index and the leaf, so that it can be tested without disk or CA",
		},
		{
			dir:     "certs",
			ours:    []string{"internal/shell"},
			outside: []string{"golang.org/x/net/idna"},
			why:     "it turns files into values; whoever watches, logs or dials comes to it, not the other way round",
		},
		{
			dir:     "watch",
			outside: []string{"github.com/fsnotify/fsnotify"},
			why:     "it knows paths, not certificates",
		},
		{
			dir:     "systemd",
			outside: []string{"github.com/coreos/go-systemd/v22/daemon"},
			why:     "it speaks to systemd and knows nothing else",
		},
		{
			dir:  "internal/service",
			ours: []string{"systemd"},
			why:  "it writes the units that are there",
		},
		{
			dir:     "internal/metrics",
			ours:    []string{"certs", "proxy"},
			outside: []string{"github.com/prometheus/client_golang/..."},
			why:     "it counts what it is told; of the others it takes no more than the values",
		},
		{
			dir:  "internal/listing",
			ours: []string{"certs"},
			why:  "it puts values into words",
		},
		{
			dir:  "internal/admin",
			ours: []string{"certs", "proxy", "internal/listing", "internal/metrics"},
			why:  "it shows and changes nothing; who may see it is decided where the parts are connected",
		},
		{
			dir:     "internal/access",
			outside: []string{"golang.org/x/sys/..."},
			why:     "who may use the keys is decided here, and read by itself in an audit",
		},
		{
			dir:     "internal/htpasswd",
			outside: []string{"golang.org/x/crypto/bcrypt", "github.com/hashicorp/golang-lru/v2", "github.com/hashicorp/golang-lru/v2/..."},
			why:     "passwords come here and nowhere else",
		},
		{
			dir:     "internal/upstreamproxy",
			ours:    []string{"internal/strength"},
			outside: []string{"golang.org/x/net/http/httpproxy", "golang.org/x/net/idna"},
			why:     "it decides and dials; who logs or configures comes to it",
		},
		{
			dir:     "internal/ca",
			ours:    []string{"internal/shell"},
			outside: []string{"github.com/hashicorp/golang-lru/v2", "golang.org/x/sys/..."},
			why:     "the code that holds the CA key is read by itself in an audit",
		},
		{
			dir:     "internal/child",
			outside: []string{"golang.org/x/sys/..."},
			why:     "it runs a program and knows of no proxy",
		},
		{
			dir:  "internal/check",
			ours: []string{"certs", "proxy", "watch", "internal/ca", "internal/shell", "internal/upstreamproxy"},
			why:  "it explains what the parts do, by asking them; none of them knows of it",
		},
		{
			dir: "internal/strength",
			why: "one page says what is too weak for clients, hosts and proxies alike",
		},
		{
			dir: "internal/shell",
			why: "ten lines that every advice goes through, held against sh itself",
		},
		{
			dir:     "internal/config",
			ours:    []string{"certs"},
			outside: []string{"go.yaml.in/yaml/v4"},
			why:     "it turns a file, variables and flags into a value and asks the machine nothing; of certs it takes no more than how a host is written",
		},
		{
			dir:     "internal/listen",
			ours:    []string{"certs", "internal/strength"},
			outside: []string{"golang.org/x/sys/..."},
			why:     "it opens sockets and tells what they are; who may come in is not its to say, and of certs it takes no more than how a host is written",
		},
		{
			dir:     "internal/environment",
			ours:    []string{"internal/shell"},
			outside: []string{"software.sslmate.com/src/go-pkcs12"},
			why:     "it turns an address and a CA into what programs read; whoever runs them comes to it",
		},
		{
			dir:     "internal/http1",
			outside: []string{"golang.org/x/net/http/httpguts"},
			why:     "what reaches a handler is decided here, and nothing else is: it can be held against net/http alone",
		},
		{
			dir: "internal/scratch",
			why: "what removes directories is read by itself",
		},
		{
			dir: "internal/throwaway",
			why: "tests everywhere, integration/ included, import it: it must not drag anything along",
		},
		{
			dir: "internal/trust",
			why: "what changes a machine's trust is read by itself",
		},
		{
			dir: "internal/architecture",
			why: "it judges the others",
		},
	}
}

// forTests is what the tests of every folder may import besides.
func forTests() []string {
	return []string{
		module + "/internal/throwaway",
		"github.com/coder/websocket",
		"github.com/rogpeppe/go-internal/testscript",
		"go.uber.org/goleak",
		"golang.org/x/net/dns/dnsmessage", // names that only a test knows
		"go.uber.org/zap/zaptest/...",
	}
}

// forbiddenNames says, for an import path, which of its names nobody may use, not
// even a test, and what breaks otherwise.
func forbiddenNames() map[string]map[string]string {
	const (
		publicKey = "it signs with a certificate authority whose private key is public"
		ownMITM   = "its interception lets the inner Host override the CONNECT host, has no deadlines and swallows upstream failures; hijack instead"
	)
	return map[string]map[string]string{
		"github.com/elazarl/goproxy": {
			"AlwaysMitm":      publicKey,
			"AlwaysReject":    publicKey,
			"CA_CERT":         publicKey,
			"CA_KEY":          publicKey,
			"GoproxyCa":       publicKey,
			"HTTPMitmConnect": publicKey,
			"MitmConnect":     publicKey,
			"OkConnect":       publicKey,
			"RejectConnect":   publicKey,
			"TLSConfigFromCA": publicKey,
			"ConnectHTTPMitm": ownMITM,
			"ConnectMitm":     ownMITM,
		},
	}
}
