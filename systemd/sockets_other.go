//go:build !unix

package systemd

import "errors"

func take(count int, _ []string) ([]Socket, error) {
	if count == 0 {
		return nil, nil
	}
	return nil, errors.New("sockets cannot be passed on this system; remove LISTEN_FDS from the environment")
}
