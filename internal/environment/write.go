package environment

import (
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
)

// WriteTrust writes into dir the files that make clients trust ca in addition to what
// they trust by the caller's environment, and returns the variables that name them.
// A variable that the caller has set to CAs of their own keeps those: a bundle made
// for git does not become everybody's.
func WriteTrust(dir string, ca *x509.Certificate, getenv func(string) string) ([]Variable, error) {
	system := SystemRoots(getenv)
	byDefault := filepath.Join(dir, "ca-bundle.pem")
	if err := os.WriteFile(byDefault, system.With(ca).PEM(), 0o600); err != nil {
		return nil, fmt.Errorf("cannot write the CAs to trust: %w", err)
	}
	written := map[string]string{"": byDefault, SystemFile(getenv): byDefault}
	var out []Variable
	for _, name := range TrustNames() {
		own := getenv(name)
		if _, done := written[own]; !done {
			file := byDefault
			if roots := rootsAt(own); len(roots.ders) > 0 {
				file = filepath.Join(dir, name+".pem")
				if err := os.WriteFile(file, roots.With(ca).PEM(), 0o600); err != nil {
					return nil, fmt.Errorf("cannot write the CAs to trust: %w", err)
				}
			}
			written[own] = file
		}
		out = append(out, Variable{name, written[own]})
	}
	return out, nil
}
