package listen

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"unicode"
)

const (
	// maxPath is sun_path of unix(7), 108 bytes with the zero byte at its end. A socket with a
	// longer path could be reached by nobody.
	maxPath = 107
	// maxName is the longest FileDescriptorName= of systemd.socket(5).
	maxName = 255

	defaultMode fs.FileMode = 0o600
	groupMode   fs.FileMode = 0o660
)

func usualMode(group string) fs.FileMode {
	if group != "" {
		return groupMode
	}
	return defaultMode
}

func parseUnix(text string) (Spec, error) {
	file, options, _ := strings.Cut(text, ",")
	switch {
	case strings.HasPrefix(file, "@"):
		return Spec{}, errors.New("is an abstract socket, which any user of this network namespace can take; write unix:/PATH")
	case !strings.HasPrefix(file, "/"):
		return Spec{}, errors.New("has no absolute path; write it from the root, as in unix:/run/certproxy/proxy.sock")
	case strings.ContainsFunc(file, unprintable):
		return Spec{}, errors.New("has a character in its path that cannot be printed; choose another path")
	case strings.HasSuffix(file, "/"):
		return Spec{}, errors.New("is a directory; name a socket in it")
	case strings.Contains(file+"/", "/../"):
		return Spec{}, errors.New("has .. in its path; write the path without")
	}
	file = path.Clean(file)
	if len(file) > maxPath {
		return Spec{}, fmt.Errorf("has a path of %d bytes, and the path of a unix socket has at most %d; choose a shorter one", len(file), maxPath)
	}
	spec := Spec{Kind: Unix, Addr: file}
	if file == "/" {
		return Spec{}, errors.New("is a directory; name a socket in it")
	}
	if options == "" && strings.Contains(text, ",") {
		return Spec{}, errors.New("ends with a comma; remove it, or add mode=0660 or group=NAME")
	}
	for options != "" {
		var option string
		var more bool
		option, options, more = strings.Cut(options, ",")
		if err := spec.set(option); err != nil {
			return Spec{}, err
		}
		if more && options == "" {
			return Spec{}, errors.New("ends with a comma; remove it")
		}
	}
	if spec.Mode == 0 {
		spec.Mode = usualMode(spec.Group)
	}
	return spec, nil
}

func (s *Spec) set(option string) error {
	name, value, _ := strings.Cut(option, "=")
	switch name {
	case "mode":
		mode, err := strconv.ParseUint(value, 8, 16)
		switch {
		case s.Mode != 0:
			return errors.New("has mode= twice")
		case err != nil || mode > 0o777 || strings.HasPrefix(value, "+"):
			return fmt.Errorf("has mode=%.20q; write it in octal, as in mode=0660", value)
		case mode&0o222 == 0:
			return fmt.Errorf("has mode=%s, with which nobody may connect; that needs the permission to write, as in mode=0660", value)
		}
		s.Mode = fs.FileMode(mode)
	case "group":
		switch {
		case s.Group != "":
			return errors.New("has group= twice")
		case value == "" || strings.ContainsFunc(value, notInGroup):
			return fmt.Errorf("has group=%.40q; write the name or number of a group", value)
		}
		s.Group = value
	default:
		return fmt.Errorf("has the option %.40q; there are mode= and group=, and a path cannot have a comma", option)
	}
	return nil
}

func parseSystemd(name string) (Spec, error) {
	switch {
	case name == "":
		return Spec{}, errors.New("has no name; write systemd:NAME, FileDescriptorName= in the socket unit, or the unit's own name")
	case len(name) > maxName || strings.ContainsFunc(name, notInName):
		return Spec{}, fmt.Errorf("has a name that systemd gives no socket; that has at most %d printable ASCII characters and no colon", maxName)
	}
	return Spec{Kind: Systemd, Addr: name}, nil
}

// notInName is what fdname_is_valid of systemd refuses.
func notInName(r rune) bool { return r < ' ' || r >= 0x7f || r == ':' }

func notInGroup(r rune) bool { return unprintable(r) || r == '=' || r == ' ' }

// unprintable also holds of U+FFFD, for which bytes that are not UTF-8 are read.
func unprintable(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }
