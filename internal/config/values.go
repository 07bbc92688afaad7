package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// duration reads a time such as 300ms, 10s or 1h30m, or 0.
func duration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%.40q is no duration; write %s", text, likelyDuration(text))
	case d < 0:
		return 0, fmt.Errorf("%.40q is less than nothing; write a duration such as 10s", text)
	}
	return d, nil
}

func positiveDuration(text string) (time.Duration, error) {
	d, err := duration(text)
	if err == nil && d == 0 {
		return 0, errors.New("0 leaves no time at all; write a duration such as 10s")
	}
	return d, err
}

// likelyDuration says how to write what was meant, as far as it is plain.
func likelyDuration(text string) string {
	number, unit := cutNumber(text)
	if n, err := strconv.Atoi(number); err == nil && n < 1e6 {
		switch unit = strings.ToLower(unit); {
		case unit == "":
			return number + "s"
		case unit == "ms" || strings.HasPrefix(unit, "mil"):
			return number + "ms"
		case strings.HasPrefix("seconds", unit):
			return number + "s"
		case strings.HasPrefix("minutes", unit):
			return number + "m"
		case strings.HasPrefix("hours", unit):
			return number + "h"
		case strings.HasPrefix("days", unit):
			return strconv.Itoa(24*n) + "h"
		}
	}
	return "a number with its unit, such as 300ms, 10s, 5m or 1h"
}

// size reads a number of bytes, such as 1048576 or 1MiB.
func size(text string) (int64, error) {
	if strings.HasPrefix(text, "-") {
		return 0, fmt.Errorf("%.40q is less than nothing; write a size such as 512MiB", text)
	}
	number, unit := cutNumber(text)
	shift, known := map[string]int{"": 0, "KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40}[unit]
	if number == "" || !known || number+unit != text {
		return 0, fmt.Errorf("%.40q is no size; write %s", text, likelySize(number, unit))
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n > math.MaxInt64>>shift {
		return 0, fmt.Errorf("%.40q is more than can be counted", text)
	}
	return n << shift, nil
}

func likelySize(number, unit string) string {
	if unit != "" && number != "" && len(number) < 10 {
		switch first := strings.ToUpper(unit[:1]); first {
		case "B":
			return number
		case "K", "M", "G", "T":
			return number + first + "iB"
		}
	}
	return "a whole number of bytes, or of KiB, MiB, GiB or TiB, such as 512MiB"
}

// cutNumber splits a number from its unit.
func cutNumber(text string) (number, unit string) {
	unit = strings.TrimLeft(text, "0123456789")
	return text[:len(text)-len(unit)], strings.TrimSpace(unit)
}

func boolean(text string) (bool, error) {
	switch text {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("%.40q is neither true nor false", text)
}
