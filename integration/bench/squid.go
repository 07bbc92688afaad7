package bench

import (
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
	"github.com/certproxy/certproxy/internal/throwaway"
)

// squidHelper makes squid's leaves. Debian's package squid, without OpenSSL, has none.
const squidHelper = "/usr/lib/squid/security_file_certgen"

// squidMissing is the command that installs squid, or "" if it is there.
func squidMissing() string {
	_, program := exec.LookPath("squid")
	_, helper := os.Stat(squidHelper)
	if program != nil || helper != nil {
		return "apt-get install --no-install-recommends squid-openssl"
	}
	return ""
}

// startSquid is squid that bumps what goes to the origin and presents the pair there.
func startSquid(t testing.TB, o *origin) way {
	t.Helper()
	dir, port := rig.Dir(t), rig.Port(t)
	ca := throwaway.NewCA("squid's CA")
	rig.Write(t, dir, "ca.pem", append(ca.CertPEM(), ca.KeyPEM()...), 0o600)
	rig.Write(t, dir, "good.pem", append(o.Good.ChainPEM(), o.Good.KeyPEM()...), 0o600)
	rig.Write(t, dir, "origin.pem", o.CA.CertPEM(), 0o600)
	config := render(t, dir, "squid.conf", struct {
		Dir, Helper string
		Port        int
		Origin      *origin
	}{dir, squidHelper, port, o})
	rig.OK(t, rig.Command{Args: []string{squidHelper, "-c", "-s", filepath.Join(dir, "leaves"), "-M", "4MB"}})
	giveToSquid(t, dir)
	d := rig.Start(t, rig.Process{
		Args: []string{"squid", "-N", "-f", config},
		Port: port,
		Logs: []string{filepath.Join(dir, "cache.log")},
	})
	return way{url: "https://" + authority(o.Port), proxy: proxyURL(port), roots: ca.Pool(), pid: d.PID()}
}

// giveToSquid makes the directory its user's: started by root, it becomes that user
// before it reads anything.
func giveToSquid(t testing.TB, dir string) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	u, err := user.Lookup("proxy")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid) // numbers on every Unix
	gid, _ := strconv.Atoi(u.Gid)
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, uid, gid)
	})
	if err != nil {
		t.Fatal(err)
	}
}
