package main

import (
	"os/exec"
	"testing"
	"time"
)

// What is newer has to be newer for dpkg as well.
func TestVersionsAreOrderedAsTheHistoryIs(t *testing.T) {
	at := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	history := []struct{ described, want string }{
		{"1234567", "0~20260102.150405.g1234567"},
		{"v0.1.0-rc.1", "0.1.0~rc.1"},
		{"v0.1.0-rc.1-2-gabcdef0", "0.1.0~rc.1+2.gabcdef0"},
		{"v0.1.0-rc.2", "0.1.0~rc.2"},
		{"v0.1.0", "0.1.0"},
		{"v0.1.0-dirty", "0.1.0+dirty"},
		{"v0.1.1", "0.1.1"},
		{"v0.1.1-4-g1234567", "0.1.1+4.g1234567"},
		{"v0.1.1-12-g1234567-dirty", "0.1.1+12.g1234567+dirty"},
		{"v0.2.0", "0.2.0"},
	}
	for i, h := range history {
		if got := packageVersion(h.described, at); got != h.want {
			t.Errorf("%s becomes %s; want %s", h.described, got, h.want)
		}
		if _, err := exec.LookPath("dpkg"); err != nil || i == 0 {
			continue
		}
		if out, err := exec.Command("dpkg", "--compare-versions", history[i-1].want, "lt", h.want).CombinedOutput(); err != nil {
			t.Errorf("dpkg does not take %s for newer than %s: %s", h.want, history[i-1].want, out)
		}
	}
}

func TestHashesAreNoVersions(t *testing.T) {
	at := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	for described, want := range map[string]string{
		"a28422b":       "0~20260102.150405.ga28422b",
		"a28422b-dirty": "0~20260102.150405.ga28422b+dirty",
		"unknown":       "0~20260102.150405.gunknown",
	} {
		if got := packageVersion(described, at); got != want {
			t.Errorf("%s becomes %s; want %s", described, got, want)
		}
	}
}
