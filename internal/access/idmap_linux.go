package access

import (
	"math"
	"os"
	"strconv"
	"strings"
)

// An idMap tells a real uid or gid from the one that the kernel shows for everybody
// who has no number in this user namespace. Without it `allow_users: [nobody]` of a
// proxy in a container would admit all users of the host.
type idMap struct {
	overflow  uint32
	ambiguous bool // not every id has a number here
}

func readIDMap(mapPath, overflowPath string) idMap {
	m := idMap{overflow: 65534}
	if text, err := os.ReadFile(overflowPath); err == nil {
		if n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32); err == nil {
			m.overflow = uint32(n)
		}
	}
	text, err := os.ReadFile(mapPath)
	m.ambiguous = err != nil || !mapsEverybody(string(text))
	return m
}

// mapsEverybody reports whether a uid_map is that of the first user namespace, in
// which every id is itself.
func mapsEverybody(text string) bool {
	f := strings.Fields(text)
	return len(f) == 3 && f[0] == "0" && f[1] == "0" && f[2] == strconv.FormatUint(math.MaxUint32, 10)
}

// real returns nil for an id that stands for one user alone.
func (m idMap) real(id uint32) error {
	if id == math.MaxUint32 || m.ambiguous && id == m.overflow {
		return ErrUnmapped
	}
	return nil
}
