package rig

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// OpensslServer runs openssl s_server, which can be told to speak TLS that nobody should.
// The certificate is NAME.crt with NAME.key in the directory of the identities; args go to
// s_server. It answers each request with a page.
func OpensslServer(t testing.TB, id *Identities, cert string, args ...string) *Server {
	t.Helper()
	Need(t, "openssl")
	s := newServer(t, id, "")
	line := []string{"openssl", "s_server", "-accept", fmt.Sprintf("127.0.0.1:%d", s.Port), "-www", "-quiet"}
	if cert != "" {
		line = append(line, "-cert", filepath.Join(id.Dir, cert+".crt"), "-key", filepath.Join(id.Dir, cert+".key"))
	}
	Start(t, Process{Args: append(line, args...), Port: s.Port})
	return s
}

// SHA1Signed makes NAME.crt and NAME.key in the directory of the identities: a server's
// certificate that their CA signed with SHA-1, as package x509 would not.
func SHA1Signed(t testing.TB, id *Identities, file, host string) {
	t.Helper()
	Need(t, "openssl")
	Write(t, id.Dir, "ca.key", id.CA.KeyPEM(), 0o600)
	Write(t, id.Dir, "ext", []byte("subjectAltName=DNS:"+host+"\n"), 0o600)
	for _, line := range []string{
		"openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=sha1 -keyout " + file + ".key -out " + file + ".csr",
		"openssl x509 -req -sha1 -in " + file + ".csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 9 -extfile ext -out " + file + ".crt",
	} {
		OK(t, Command{Dir: id.Dir, Args: strings.Fields(line)})
	}
}
