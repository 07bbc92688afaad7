package main

import (
	"fmt"
	"strings"
)

// texts is what goes with every binary.
func texts(modules []module) string {
	var out strings.Builder
	out.WriteString("certproxy is licensed under the Apache License, Version 2.0 (see LICENSE). Its binary holds code\n" +
		"of the modules below, under their own licences.\n")
	for _, m := range modules {
		if strings.Contains(m.licence, "MPL-2.0") { // section 3.2 (a)
			fmt.Fprintf(&out, "\n%s is under the Mozilla Public License 2.0, and unchanged. Its source code is at\n"+
				"https://proxy.golang.org/%[1]s/@v/%s.zip and https://pkg.go.dev/%[1]s@%[2]s.\n", m.path, m.version)
		}
		for _, n := range m.files {
			fmt.Fprintf(&out, "\n%s\n%s: %s\n%[1]s\n\n%[4]s\n",
				strings.Repeat("=", 80), strings.TrimSpace(m.path+" "+m.version), n.name, strings.TrimRight(n.text, "\n"))
		}
	}
	return out.String()
}

// list is the page.
func list(modules []module) string {
	var out strings.Builder
	out.WriteString("# Licences\n\n" +
		"certproxy is licensed under the [Apache License 2.0](../LICENSE). These modules have code in its binary; their licences want their\n" +
		"texts to go with it, so [THIRD-PARTY-NOTICES](../THIRD-PARTY-NOTICES) is in every package, archive and image.\n\n" +
		"| module | version | licence |\n|---|---|---|\n")
	for _, m := range modules {
		fmt.Fprintf(&out, "| %s | %s | %s |\n", m.path, m.version, m.licence)
	}
	out.WriteString("\nModules that only tests and tools use are in no binary, and not here. `go run -C packaging ./notices -top ..` writes this page and the\n" +
		"texts; a test in `packaging/notices` fails when they are not what the code has.\n")
	return out.String()
}
