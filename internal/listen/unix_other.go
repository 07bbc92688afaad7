//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package listen

import (
	"context"
	"fmt"
	"net"
)

func openUnix(_ context.Context, spec Spec) (net.Listener, error) {
	if _, err := groupID(spec); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("cannot listen on %s: not supported on this system; use 127.0.0.1:PORT", spec)
}
