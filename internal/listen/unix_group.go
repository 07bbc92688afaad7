package listen

import (
	"fmt"
	"os/user"
	"strconv"
)

// groupID returns the number of a spec's group, or -1 for none.
func groupID(spec Spec) (int, error) {
	if spec.Group == "" {
		return -1, nil
	}
	if n, err := strconv.ParseUint(spec.Group, 10, 32); err == nil && n < 1<<32-1 { // that is -1
		return int(n), nil
	}
	group, err := user.LookupGroup(spec.Group)
	if err != nil {
		return 0, fmt.Errorf("cannot listen on %s: there is no group %s; see which there are (getent group), or make it (groupadd --system %[2]s)", spec, spec.Group)
	}
	return strconv.Atoi(group.Gid)
}
