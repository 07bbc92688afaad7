package systemd

import (
	"strings"
	"time"
	"unicode"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Ready tells systemd that the service serves, or does so again after [Reloading].
// Without systemd (sd_notify(3)) it does nothing, as all of these.
func Ready(status string) error { return notify(daemon.SdNotifyReady, status) }

// Reloading tells systemd that the service reads its configuration again.
func Reloading() error { return notify(daemon.SdNotifyReloading, "") }

// Stopping tells systemd that the service finishes what it has begun, and ends.
func Stopping(status string) error { return notify(daemon.SdNotifyStopping, status) }

// Status tells systemd how the service is, in a line for systemctl status.
func Status(text string) error { return notify("", text) }

// Alive feeds the watchdog.
func Alive() error { return notify(daemon.SdNotifyWatchdog, "") }

// WatchdogInterval returns how long the watchdog waits for [Alive] (WatchdogSec=, by
// sd_watchdog_enabled(3)), or 0 where there is none.
func WatchdogInterval() (time.Duration, error) { return daemon.SdWatchdogEnabled(false) }

func notify(state, status string) error {
	var lines []string
	if state != "" {
		lines = append(lines, state)
	}
	if status != "" {
		// A line end would make the rest another assignment.
		lines = append(lines, "STATUS="+strings.Map(func(r rune) rune {
			if unicode.IsControl(r) {
				return ' '
			}
			return r
		}, status))
	}
	_, err := daemon.SdNotify(false, strings.Join(lines, "\n"))
	return err
}
