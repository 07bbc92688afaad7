package main

import "strings"

// identify returns the SPDX identifiers of the licences in a text, with " AND " between
// them, or nothing. It knows those by sentences that no other licence has.
func identify(text string) string {
	text = strings.ToLower(strings.Join(strings.Fields(text), " "))
	var ids []string
	if strings.Contains(text, "apache license version 2.0") || strings.Contains(text, "apache license, version 2.0") {
		ids = append(ids, "Apache-2.0")
	}
	if strings.Contains(text, "mozilla public license, version 2.0") {
		ids = append(ids, "MPL-2.0")
	}
	if strings.Contains(text, "redistributions in binary form must reproduce the above copyright notice") {
		if strings.Contains(text, "be used to endorse or promote products derived from this software") {
			ids = append(ids, "BSD-3-Clause")
		} else {
			ids = append(ids, "BSD-2-Clause")
		}
	}
	if strings.Contains(text, "permission is hereby granted, free of charge, to any person obtaining a copy of this software") {
		ids = append(ids, "MIT")
	}
	return strings.Join(ids, " AND ")
}
