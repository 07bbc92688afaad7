package main

import (
	"regexp"
	"strings"
	"time"
)

// packageVersion turns what git describe says into a version that dpkg and rpm order
// as the history does: a release, commits after it, and before both its candidates.
//
//	v1.2.0                  1.2.0
//	v1.2.0-rc.1             1.2.0~rc.1
//	v1.2.0-4-g1234567       1.2.0+4.g1234567
//	v1.2.0-dirty            1.2.0+dirty
//	1234567 (no tag yet)    0~20260102.150405.g1234567, by the time of the commit
func packageVersion(described string, commit time.Time) string {
	v, dirty := strings.CutSuffix(described, "-dirty")
	suffix := ""
	if dirty {
		suffix = "+dirty"
	}
	m := regexp.MustCompile(`^v?(\d[^-]*)(?:-(.*?))??(?:-(\d+)-g([0-9a-f]+))?$`).FindStringSubmatch(v)
	if m == nil || !strings.Contains(m[1], ".") { // a hash may begin with a digit
		return "0~" + commit.UTC().Format("20060102.150405") + ".g" + plain(v) + suffix
	}
	out := plain(m[1])
	if m[2] != "" {
		out += "~" + plain(m[2])
	}
	if m[3] != "" {
		out += "+" + m[3] + ".g" + m[4]
	}
	return out + suffix
}

// plain leaves what both dpkg and rpm take in a version.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '.' || r == '+' || r == '~' {
			return r
		}
		return '.'
	}, s)
}
