package check

import (
	"os"
	"strconv"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/shell"
)

// lookAtPermissions says which files of hosts the running proxy cannot read, where it is
// another user's than this check: root reads everything, and would see nothing wrong.
func (r *run) lookAtPermissions(hosts ...*certs.Host) {
	if len(r.proxies) == 0 {
		return
	}
	uid, ok := listenerUID(r.proxies[0])
	if !ok || uid == 0 || int(uid) == os.Geteuid() {
		return
	}
	who := strconv.Itoa(int(uid))
	for _, h := range hosts {
		seen := map[string]bool{}
		for _, p := range h.Pairs {
			for _, file := range []string{p.CertFile, p.KeyFile} {
				barrier, why := unreadableFor(uid, file)
				if why == "" || seen[barrier] {
					continue
				}
				seen[barrier] = true
				f := Finding{Level: Error, About: barrier, Text: "the running proxy cannot read it: " + why,
					Fix: "sudo setfacl -m u:" + who + ":r " + shell.Quote(barrier), Advice: "or chgrp it to a group of that user, and chmod g+r"}
				if info, err := os.Stat(barrier); err == nil && info.IsDir() {
					f.Text = "the running proxy cannot enter this directory, and so not read " + file + ": " + why
					f.Fix, f.Advice = "sudo setfacl -m u:"+who+":x "+shell.Quote(barrier), "or chgrp it to a group of that user, and chmod g+x"
				}
				r.report.add(rankFiles, f)
			}
		}
	}
}
