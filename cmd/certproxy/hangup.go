package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/certproxy/certproxy/internal/admin"
	"github.com/certproxy/certproxy/internal/listen"
)

// reloadWithin bounds the wait for a reload: 10,000 hosts on a slow disk are read in less.
const reloadWithin = time.Minute

func newReload() *cobra.Command {
	cmd := &cobra.Command{
		Use: "reload", Short: "Have a running proxy read its configuration again, and wait for it", Args: noArgs,
		Long: "Send a running proxy the SIGHUP at which it reads its configuration and every host\n" +
			"directory again, and wait until it has. It exits 1, and says why, when the\n" +
			"configuration has a mistake: then the one in use stays. Changes in certs.d need no\n" +
			"reload.",
	}
	settings := addSettings(cmd, "admin")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		places, err := settings.adminPlaces(cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), reloadWithin)
		defer cancel()
		return reload(ctx, cmd.OutOrStdout(), places)
	}
	return cmd
}

// reload sends a SIGHUP to the proxy at the first place where one answers, and waits until
// it says that it was answered.
func reload(ctx context.Context, out io.Writer, places []string) error {
	addr, before, err := askReloads(ctx, places)
	if err != nil {
		return err
	}
	path, isUnix := strings.CutPrefix(addr, "unix:")
	if !isUnix {
		return fmt.Errorf("who serves %s cannot be told by its address; send the signal yourself (kill -HUP PID), or use a unix socket for --admin", addr)
	}
	pid, err := servedBy(ctx, path)
	if err != nil {
		return fmt.Errorf("%s: %w", addr, err)
	}
	if err := syscall.Kill(pid, syscall.SIGHUP); err != nil {
		return fmt.Errorf("process %d, which serves %s, cannot be sent a signal: %w; run this as its user, or as root", pid, addr, err)
	}
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		_, now, err := askReloads(ctx, []string{addr})
		if err != nil {
			return err
		}
		if now.Reloads.Answered > before.Reloads.Answered && now.Reloads.Answered == now.Reloads.Asked {
			return outcome(out, now)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("process %d has not answered the signal within %v; see its log", pid, reloadWithin)
		case <-ticker.C:
		}
	}
}

// outcome says what a reload has come to.
func outcome(out io.Writer, s *admin.Status) error {
	if len(s.Reloads.Mistakes) > 0 {
		return errors.New(strings.Join(append(s.Reloads.Mistakes, "the configuration in use stays until these are corrected"), "\n"))
	}
	_, err := fmt.Fprintf(out, "reloaded; %s\n", count(len(s.Problems), "problem"))
	if err == nil && len(s.Reloads.Restart) > 0 {
		_, err = fmt.Fprintf(out, "changed, and in use after a restart only: %s\n", strings.Join(s.Reloads.Restart, ", "))
	}
	return err
}

func askReloads(ctx context.Context, places []string) (addr string, s *admin.Status, err error) {
	for _, addr = range places {
		var raw []byte
		if raw, err = askStatus(ctx, []string{addr}); err == nil {
			s = &admin.Status{}
			if err := json.Unmarshal(raw, s); err != nil {
				return "", nil, fmt.Errorf("what answers at %s is no certproxy of this version: %w", addr, err)
			}
			return addr, s, nil
		}
	}
	return "", nil, err
}

// servedBy returns the process that listens on a unix socket, as the kernel knows it: an
// answer could come out of another namespace, where its number is another process's.
func servedBy(ctx context.Context, path string) (pid int, err error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if unix, ok := conn.(*net.UnixConn); ok {
		pid = listen.ListenerPID(unix)
	}
	if pid == 0 || pid == os.Getpid() {
		return 0, errors.New("the process that serves it is not to be seen from here; send it the signal where it runs (kill -HUP PID)")
	}
	return pid, nil
}
