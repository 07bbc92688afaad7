// Package child runs one program as if certproxy were not there: its descriptors, its
// terminal, its signals and its exit status are the caller's.
package child

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
)

// Run runs a command to its end and returns the exit status that a shell would: the
// command's own, or 128 and the number of the signal that ended it. The error is an
// [*Error] when it could not be started.
//
// It stays in the process group of its caller, so that a terminal's keys reach it
// once, from the terminal. Signals that are sent to certproxy are passed on; see [passed].
// Should certproxy be killed, or ctx end, it is sent SIGTERM.
func Run(ctx context.Context, cmd *exec.Cmd) (int, error) {
	signals := make(chan os.Signal, 16)
	if list := passed(); len(list) > 0 { // of none, Notify would take all
		signal.Notify(signals, list...)
		defer signal.Stop(signals)
	}
	dieWithParent(cmd)
	started, ended := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(ended)
		// The signal at the parent's death is sent at the end of the thread that started
		// the child. This one lives until the child has ended, and is not used again.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is in ProcessState
		}
	}()
	if err := <-started; err != nil {
		<-ended
		return 0, explain(cmd, err)
	}
	done := ctx.Done()
	for {
		select {
		case sig := <-signals:
			if !fromTerminal(sig) {
				_ = cmd.Process.Signal(sig) // it may have ended just now
			}
		case <-done:
			_ = terminate(cmd.Process)
			done = nil
		case <-ended:
			return status(cmd.ProcessState), nil
		}
	}
}
