package config

import (
	"fmt"
	"reflect"
	"strings"
)

// A target is where what was given for a key goes.
type target interface {
	// set replaces what was there. It returns why an entry cannot be, or nil, one for each.
	set(texts []string) []error
	// value is what is there now.
	value() any
}

type single[T any] struct {
	to    *T
	parse func(text string) (T, error)
}

// one is the target of a key that has one value.
func one[T any](to *T, parse func(text string) (T, error)) target { return single[T]{to, parse} }

// set takes the last one, as flags do.
func (s single[T]) set(texts []string) []error {
	errs := make([]error, len(texts))
	for i, text := range texts {
		v, err := s.parse(text)
		if errs[i] = err; err == nil {
			*s.to = v
		}
	}
	return errs
}

func (s single[T]) value() any { return *s.to }

type several[T any] struct {
	to  *T
	add func(to T, text string) (T, error)
}

// many is the target of a key that has a list.
func many[T any](to *T, add func(to T, text string) (T, error)) target { return several[T]{to, add} }

func (s several[T]) set(texts []string) []error {
	var all T
	errs := make([]error, len(texts))
	for i, text := range texts {
		v, err := s.add(all, text)
		if errs[i] = err; err == nil {
			all = v
		}
	}
	*s.to = all
	return errs
}

func (s several[T]) value() any { return *s.to }

// oneOf reads one of some words.
func oneOf(words ...string) func(string) (string, error) {
	return func(text string) (string, error) {
		for _, w := range words {
			if text == w {
				return text, nil
			}
		}
		if len(words) == 2 {
			return "", fmt.Errorf("%.40q is neither %s nor %s", text, words[0], words[1])
		}
		return "", fmt.Errorf("%.40q is none of %s", text, strings.Join(words, ", "))
	}
}

// different names the keys that have not the same value in two tables.
func different(a, b []key) []string {
	var names []string
	for i := range a {
		if a[i].target != nil && !reflect.DeepEqual(a[i].value(), b[i].value()) {
			names = append(names, a[i].Name)
		}
	}
	return names
}

// DifferentTop names the keys whose values for all hosts are not the same in two
// configurations, in the order of the table.
func DifferentTop(a, b *Config) []string {
	return append(different(topKeys(a), topKeys(b)), different(hostKeys(&a.Host, &a.Allow), hostKeys(&b.Host, &b.Allow))...)
}

// DifferentSettings names the keys in which two settings differ.
func DifferentSettings(a, b HostSettings) []string {
	return append(different(hostKeys(&a, &Allow{}), hostKeys(&b, &Allow{})), different(ownKeys(&a), ownKeys(&b))...)
}

// DifferentAllow names the keys in which two of them differ.
func DifferentAllow(a, b Allow) []string {
	return different(hostKeys(&HostSettings{}, &a), hostKeys(&HostSettings{}, &b))
}
