package check

import (
	"cmp"
	"slices"
	"time"
)

// A Level says how bad a finding is.
type Level string

// The levels, the worst first.
const (
	Error   Level = "error"   // something does not work
	Warning Level = "warning" // it works, and may not for long or not for everybody
	Note    Level = "note"    // worth knowing
	OK      Level = "ok"      // looked at, and as it should be
)

// A Finding is one thing that was looked at.
type Finding struct {
	Level Level  `json:"level"`
	About string `json:"about"` // a file, a host, a pair, an address
	Text  string `json:"text"`  // what is, in one line
	// Fix is a command to paste into a shell, or what to write into the file that Advice
	// names; it may have several lines.
	Fix string `json:"fix,omitempty"`
	// Advice is what to do where no command does it, or what to know about the one there is.
	Advice string `json:"advice,omitempty"`

	rank rank
}

// A rank orders findings of one level: the cause before what follows from it.
type rank int

const (
	rankDirectory rank = iota // a directory that is not where it is looked for
	rankFiles                 // what a directory holds
	rankConnect               // the way to the host
	rankServer                // its certificate
	rankPair                  // what it says to the pairs
	rankAnswer
	rankCA
	rankProxy
	rankTrust
	rankEnvironment
	rankMachine
)

// A Report is all that was seen. Its JSON is a promise to programs: fields are added,
// never renamed.
type Report struct {
	Target   *Target   `json:"target,omitempty"`
	OK       bool      `json:"ok"`       // no finding is an error
	Findings []Finding `json:"findings"` // the worst first, and of those the cause first
	Lookup   []Looked  `json:"lookup,omitempty"`
	Server   *Server   `json:"server,omitempty"`
	Pairs    []Tried   `json:"pairs,omitempty"`
	Answer   *Answer   `json:"answer,omitempty"`
}

// A Looked is a directory that was looked at for the host, in order.
type Looked struct {
	Path  string `json:"path"`
	State string `json:"state"` // used, shadowed, missing, unreadable or near
	Why   string `json:"why,omitempty"`
}

// A Server is the host as it showed itself.
type Server struct {
	Address       string        `json:"address,omitempty"`        // connected to
	Through       string        `json:"through,omitempty"`        // the proxy of the site
	TLSVersion    string        `json:"tls_version,omitempty"`    // "TLS 1.3"
	Cipher        string        `json:"cipher,omitempty"`         // "TLS_AES_128_GCM_SHA256"
	Chain         []Certificate `json:"chain,omitempty"`          // what it sent
	VerifiedBy    string        `json:"verified_by,omitempty"`    // the CA root
	VerifiedFrom  string        `json:"verified_from,omitempty"`  // the file it lies in, or "system"
	Asked         *bool         `json:"asked,omitempty"`          // for a client certificate; absent where it did not come to that
	AcceptableCAs []string      `json:"acceptable_cas,omitempty"` // none named: any
}

// A Certificate is one of a chain.
type Certificate struct {
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	Names     []string  `json:"names,omitempty"` // host names and addresses
}

// A Tried is what came of asking with one pair; its name is empty where no certificate
// was presented.
type Tried struct {
	Pair             string       `json:"pair"`
	CertFile         string       `json:"cert_file,omitempty"`
	Certificate      *Certificate `json:"certificate,omitempty"`
	IssuerAcceptable *bool        `json:"issuer_acceptable,omitempty"` // among the CAs that the server names, if it names any
	Verdict          string       `json:"verdict"`                     // accepted, not asked, rejected, dropped, refused or failed
	Outcome          string       `json:"outcome"`                     // "200", "alert 48 (unknown certificate authority)"
	Why              string       `json:"why,omitempty"`               // in plain words
	Used             bool         `json:"used"`                        // its answer is the one that clients get
}

// An Answer is what clients get.
type Answer struct {
	Status string   `json:"status"` // "200 OK"
	Header []string `json:"header"` // "Name: value", sorted; nothing secret
	Body   string   `json:"body,omitempty"`
}

// add notes a finding.
func (r *Report) add(rank rank, f Finding) {
	f.rank = rank
	r.Findings = append(r.Findings, f)
}

// finish orders the findings.
func (r *Report) finish() {
	levels := []Level{Error, Warning, Note, OK}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(slices.Index(levels, a.Level), slices.Index(levels, b.Level)), cmp.Compare(a.rank, b.rank))
	})
	r.OK = !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Level == Error })
}
