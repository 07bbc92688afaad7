package trust

import (
	"context"
	"crypto/x509"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// An NSS is the databases of one user's Firefox profiles, and the one that Chromium and
// Chrome share, which have no part in the system's store.
type NSS struct {
	home string
	run  runner
	tool string // certutil; "" for none
}

// NewNSS returns the databases below a home directory.
func NewNSS(home string) *NSS {
	tool, err := exec.LookPath("certutil")
	if err != nil {
		tool = ""
	}
	return &NSS{home: home, run: asOwner(home), tool: tool}
}

// Name implements Store.
func (n *NSS) Name() string { return "nss" }

// databases returns the directories of databases that exist.
func (n *NSS) databases() ([]string, error) {
	var out []string
	for _, pattern := range []string{
		".pki/nssdb",                       // Chromium, Chrome
		"snap/chromium/current/.pki/nssdb", // the same as a snap
		".mozilla/firefox/*",               // Firefox
		"snap/firefox/common/.mozilla/firefox/*",
		".var/app/org.mozilla.firefox/.mozilla/firefox/*", // as a flatpak
	} {
		found, err := filepath.Glob(filepath.Join(n.home, pattern, "cert9.db"))
		if err != nil {
			return nil, err
		}
		for _, db := range found {
			out = append(out, filepath.Dir(db))
		}
	}
	switch {
	case len(out) == 0:
		return nil, &Absent{"no browser has a database below " + n.home + "; start it once before"}
	case n.tool == "":
		return nil, &Absent{"certutil is not installed, which the browsers' databases need; install libnss3-tools (Debian) or nss-tools (Fedora)"}
	}
	return out, nil
}

// installed returns the labels of ours in a database.
func (n *NSS) installed(ctx context.Context, db string) ([]string, error) {
	list, err := n.run(ctx, "", n.tool, "-L", "-d", "sql:"+db)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", db, err)
	}
	var out []string
	for line := range strings.Lines(string(list)) {
		label, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !labels.MatchString(label) {
			continue
		}
		cert, err := n.run(ctx, "", n.tool, "-L", "-d", "sql:"+db, "-n", label, "-a")
		if err != nil {
			return nil, fmt.Errorf("%s: %w", db, err)
		}
		if isLabelOf(label, cert) {
			out = append(out, label)
		}
	}
	return out, nil
}

// Install implements Store.
func (n *NSS) Install(ctx context.Context, ca *x509.Certificate) ([]Step, error) {
	return n.steps(ctx, ca)
}

// Uninstall implements Store.
func (n *NSS) Uninstall(ctx context.Context) ([]Step, error) { return n.steps(ctx, nil) }

// steps lead to each database having this CA of ours and no other; nil is none at all.
func (n *NSS) steps(ctx context.Context, ca *x509.Certificate) ([]Step, error) {
	databases, err := n.databases()
	if err != nil {
		return nil, err
	}
	var steps []Step
	for _, db := range databases {
		there, err := n.installed(ctx, db)
		if err != nil {
			return nil, err
		}
		has := false
		for _, label := range there {
			if ca != nil && label == Label(ca) {
				has = true
				continue
			}
			steps = append(steps, Step{Would: "remove " + label + " from " + db, Did: "removed " + label + " from " + db, Run: func(ctx context.Context) error {
				_, err := n.run(ctx, "", n.tool, "-D", "-d", "sql:"+db, "-n", label)
				return err
			}})
		}
		if ca == nil || has {
			continue
		}
		steps = append(steps, Step{Would: "add " + Label(ca) + " to " + db, Did: "added " + Label(ca) + " to " + db, Run: func(ctx context.Context) error {
			// "C,,": it may name servers, and neither mail users nor code.
			_, err := n.run(ctx, string(encode(ca)), n.tool, "-A", "-a", "-d", "sql:"+db, "-n", Label(ca), "-t", "C,,")
			return err
		}})
	}
	return steps, nil
}
