package admin

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// expiresSoon is from when on the page marks a certificate: early enough to have a new
// one issued in the usual way.
const expiresSoon = 30 * 24 * time.Hour

// Expiry says how a certificate's end stands: "expired", "soon" (within 30 days), or "".
func Expiry(notAfter, now time.Time) string {
	switch left := notAfter.Sub(now); {
	case left <= 0:
		return "expired"
	case left < expiresSoon:
		return "soon"
	}
	return ""
}

// Days is how many days a time takes, a begun one among them, as problems count them.
func Days(d time.Duration) int { return int(math.Ceil(d.Hours() / 24)) }

// left tells how long something lasts, or since when it is over.
func left(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d <= -2*day:
		return fmt.Sprintf("expired %d days ago", -d/day)
	case d <= 0:
		return "expired"
	case d < 48*time.Hour:
		return fmt.Sprintf("in %d h", d/time.Hour)
	case d < 2*365*day:
		return fmt.Sprintf("in %d days", Days(d))
	}
	return fmt.Sprintf("in %d years", d/(365*day))
}

// ago tells how long something is past.
func ago(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return "just now"
	case d < time.Minute:
		return "less than a minute ago"
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", d/time.Hour)
	}
	return fmt.Sprintf("%d days ago", d/(24*time.Hour))
}

// Bytes writes a number of bytes with three digits at most.
func Bytes[N int64 | uint64](n N) string {
	if n < 1024 {
		return strconv.FormatInt(int64(n), 10) + " B"
	}
	f, unit := float64(n), -1
	for f >= 1000 && unit < 5 {
		f /= 1024
		unit++
	}
	if f < 10 {
		return fmt.Sprintf("%.1f %ciB", f, "KMGTPE"[unit])
	}
	return fmt.Sprintf("%.0f %ciB", f, "KMGTPE"[unit])
}

// Took writes a duration of so many seconds.
func Took(seconds float64) string {
	switch d := time.Duration(seconds * float64(time.Second)); {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", seconds)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	default:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	}
}

// grouped writes a number with its thousands apart.
func grouped[N int | uint64](n N) string {
	s := strconv.FormatUint(uint64(max(n, 0)), 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u202f" + s[i:] // a narrow space that does not break
	}
	return s
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + many
}
