package config

import (
	"fmt"
	"strconv"
)

// Only these can say that a request was refused.
const lowestStatus, highestStatus = 400, 599

// Statuses is a set of HTTP statuses, of those from 400 to 599.
type Statuses struct {
	listed [highestStatus - lowestStatus + 1]bool
}

// Has reports whether the set holds the status.
func (s Statuses) Has(status int) bool {
	return lowestStatus <= status && status <= highestStatus && s.listed[status-lowestStatus]
}

// with adds a status, such as 403, or a class of them, 4xx or 5xx.
func (s Statuses) with(text string) (Statuses, error) {
	switch n, err := strconv.Atoi(text); {
	case text == "4xx":
		return s.add(400, 499), nil
	case text == "5xx":
		return s.add(500, 599), nil
	case err != nil || len(text) != 3 || n < lowestStatus || n > highestStatus:
		return s, fmt.Errorf("%.40q is no refusal; write a status from 400 to 599, or a class, 4xx or 5xx", text)
	default:
		return s.add(n, n), nil
	}
}

func (s Statuses) add(from, to int) Statuses {
	for status := from; status <= to; status++ {
		s.listed[status-lowestStatus] = true
	}
	return s
}
