// Notices writes what the licences of the modules in the binary want to go with it:
// THIRD-PARTY-NOTICES, with their texts, and docs/licences.md, the list.
//
//	notices [-top DIR]
//
// Both files are committed, and a test says when they are no longer what the code has.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

// The files, from the top of the repository.
const (
	textsFile = "THIRD-PARTY-NOTICES"
	listFile  = "docs/licences.md"
)

func main() {
	top := flag.String("top", ".", "top of the repository")
	flag.Parse()
	if err := run(*top); err != nil {
		fmt.Fprintf(os.Stderr, "notices: %v\n", err)
		os.Exit(1)
	}
}

func run(top string) error {
	modules, err := linked(top)
	if err != nil {
		return err
	}
	for name, text := range map[string]string{textsFile: texts(modules), listFile: list(modules)} {
		if err := os.WriteFile(filepath.Join(top, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
