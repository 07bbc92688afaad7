package child

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel send SIGTERM to the child should certproxy be killed:
// without its proxy and its files it could only fail. A set-user-ID program does
// without (prctl(2), PR_SET_PDEATHSIG).
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
}
