package systemd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// A Socket is a listening stream socket that systemd passed.
type Socket struct {
	Name     string // FileDescriptorName= of the socket unit, by default the unit's own name
	Listener net.Listener
}

const (
	firstFD = 3 // SD_LISTEN_FDS_START

	listenPID   = "LISTEN_PID"
	listenFDs   = "LISTEN_FDS"
	listenNames = "LISTEN_FDNAMES"
	listenPIDFD = "LISTEN_PIDFDID" // since systemd 259; says of the process what LISTEN_PID does
)

// Sockets returns the sockets that systemd passed to this process (sd_listen_fds(3)), in
// the order of the units' ListenStream= lines; several can have one name. There are none when
// the variables are not set, or are set for another process.
//
// It takes the variables out of the environment, and keeps the sockets from the programs that are
// started later. So it is called once, before anything else is. What it cannot use is an error, not
// passed over: a client would connect to it and wait for ever.
func Sockets() ([]Socket, error) {
	count, names, err := passed(os.Getenv, os.Getpid())
	for _, name := range []string{listenPID, listenFDs, listenNames, listenPIDFD} {
		if gone := os.Unsetenv(name); gone != nil {
			err = errors.Join(err, gone)
		}
	}
	if err != nil {
		return nil, err
	}
	return take(count, names)
}

// passed reads the variables.
func passed(getenv func(string) string, self int) (count int, names []string, err error) {
	forPID, fds := getenv(listenPID), getenv(listenFDs)
	if forPID == "" || fds == "" {
		return 0, nil, nil
	}
	pid, err := strconv.ParseUint(forPID, 10, 31)
	if err != nil || pid == 0 {
		return 0, nil, notSystemd(listenPID, forPID, "the number of a process")
	}
	if int(pid) != self {
		return 0, nil, nil // a parent's, whose environment we inherited
	}
	n, err := strconv.ParseUint(fds, 10, 16)
	if err != nil {
		return 0, nil, notSystemd(listenFDs, fds, "the number of sockets")
	}
	count = int(n)
	text := getenv(listenNames)
	if text == "" {
		names = make([]string, count)
		for i := range names {
			names[i] = "unknown" // so says sd_listen_fds_with_names(3)
		}
		return count, names, nil
	}
	names = strings.Split(text, ":")
	if len(names) != count {
		return 0, nil, notSystemd(listenNames, text, fmt.Sprintf("%d names for the %d sockets of %s", count, count, listenFDs))
	}
	return count, names, nil
}

func notSystemd(variable, value, want string) error {
	return fmt.Errorf("%s=%.100q is not %s; the variable is systemd's to set: remove it from the environment", variable, value, want)
}
