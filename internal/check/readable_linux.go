package check

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// listenerUID returns the user whose socket listens at a TCP address (proc_net_tcp(5)).
func listenerUID(addr string) (uid uint32, ok bool) {
	want, err := netip.ParseAddrPort(addr)
	if err != nil {
		return 0, false
	}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(table)
		if err != nil {
			continue
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() && !ok {
			const local, state, owner = 1, 3, 7
			fields := strings.Fields(lines.Text())
			if len(fields) <= owner || fields[state] != "0A" { // LISTEN
				continue
			}
			if at, known := socketAddr(fields[local]); known && at == want {
				n, err := strconv.ParseUint(fields[owner], 10, 32)
				uid, ok = uint32(n), err == nil
			}
		}
		_ = f.Close()
		if ok {
			return uid, true
		}
	}
	return 0, false
}

// socketAddr reads 0100007F:0C38: the address in words of the machine's byte order.
func socketAddr(s string) (netip.AddrPort, bool) {
	address, port, _ := strings.Cut(s, ":")
	raw, err := hex.DecodeString(address)
	n, portErr := strconv.ParseUint(port, 16, 16)
	if err != nil || portErr != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for word := range slices.Chunk(raw, 4) {
		binary.BigEndian.PutUint32(word, binary.NativeEndian.Uint32(word))
	}
	ip, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(ip.Unmap(), uint16(n)), ok
}

// unreadableFor returns what keeps a user from reading a file, the file or a directory
// above it, and why; "" for nothing. It goes by their modes: where an access control list
// decides, nothing is said.
func unreadableFor(uid uint32, file string) (barrier, why string) {
	file, err := filepath.EvalSymlinks(file)
	if err != nil {
		return "", ""
	}
	groups := groupsOf(uid)
	for at, need := file, fs.FileMode(4); ; at, need = filepath.Dir(at), 1 {
		info, err := os.Stat(at)
		if err != nil || hasACL(at) {
			return "", ""
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return "", ""
		}
		mode := info.Mode().Perm()
		allowed := mode
		switch {
		case st.Uid == uid:
			allowed = mode >> 6
		case slices.Contains(groups, st.Gid):
			allowed = mode >> 3
		}
		if allowed&need == 0 {
			return at, fmt.Sprintf("mode %04o, owner %s, and it runs as %s", mode, userName(st.Uid), userName(uid))
		}
		if at == filepath.Dir(at) {
			return "", ""
		}
	}
}

func hasACL(path string) bool {
	n, err := syscall.Getxattr(path, "system.posix_acl_access", nil)
	return err == nil && n > 0
}

func groupsOf(uid uint32) []uint32 {
	u, err := user.LookupId(strconv.Itoa(int(uid)))
	if err != nil {
		return nil
	}
	ids, err := u.GroupIds()
	if err != nil {
		return nil
	}
	var groups []uint32
	for _, id := range ids {
		if n, err := strconv.ParseUint(id, 10, 32); err == nil {
			groups = append(groups, uint32(n))
		}
	}
	return groups
}

// userName returns a user's name with the uid, or the uid alone.
func userName(uid uint32) string {
	id := strconv.Itoa(int(uid))
	if u, err := user.LookupId(id); err == nil {
		return u.Username + " (uid " + id + ")"
	}
	return "uid " + id
}
