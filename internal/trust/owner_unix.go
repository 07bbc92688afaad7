//go:build unix

package trust

import (
	"os"
	"os/exec"
	"syscall"
)

// asOwner returns what runs programs as the owner of the first of these paths that is not
// root's, where root itself would run them otherwise: in another user's directories any name may
// lead elsewhere by now, and a program there is that user's. It gets none of root's
// environment, which the user could read.
func asOwner(paths ...string) runner {
	if os.Geteuid() != 0 {
		return run
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			continue
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 {
			return runWith(func(cmd *exec.Cmd) {
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: st.Uid, Gid: st.Gid}}
				cmd.Env, cmd.Dir = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}, "/"
			})
		}
	}
	return run
}
