// Package makes the deb and the rpm of one binary, without their distributions'
// tools, from packaging/nfpm.yaml. The same input gives the same bytes.
//
//	package -version VERSION -arch ARCH -binary FILE -manual DIR [-top DIR] [-out DIR] deb|rpm...
//
// SOURCE_DATE_EPOCH, in seconds, is the time of every file in the packages; a clock
// is never asked.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

func main() {
	var o options
	flag.StringVar(&o.version, "version", "", "what git describe says")
	flag.StringVar(&o.arch, "arch", "", "GOARCH of the binary")
	flag.StringVar(&o.binary, "binary", "", "the certproxy to pack")
	flag.StringVar(&o.manual, "manual", "", "what the command says of itself: cmd/certproxy, built with the tag manual, wrote it")
	flag.StringVar(&o.top, "top", ".", "top of the repository")
	flag.StringVar(&o.out, "out", ".", "takes the packages")
	flag.Parse()
	if err := o.run(os.Getenv("SOURCE_DATE_EPOCH"), flag.Args()); err != nil {
		fmt.Fprintf(os.Stderr, "package: %v\n", err)
		os.Exit(1)
	}
}

type options struct {
	version, arch, binary, manual, top, out string
	time                                    time.Time
}

func (o *options) run(epoch string, packagers []string) error {
	if o.version == "" || o.arch == "" || o.binary == "" || o.manual == "" || len(packagers) == 0 {
		return errors.New("-version, -arch, -binary, -manual and a packager are needed; see packaging/package/main.go")
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH is %q, not a number of seconds; set it to the time of the commit: git log -1 --format=%%ct", epoch)
	}
	o.time = time.Unix(seconds, 0).UTC()
	for _, path := range []*string{&o.binary, &o.manual, &o.out} {
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	// nfpm.yaml names its files from there.
	if err := os.Chdir(o.top); err != nil {
		return err
	}
	stage, err := os.MkdirTemp("", "certproxy-package-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(stage) }()
	for _, packager := range packagers {
		file, err := o.pack(packager, filepath.Join(stage, packager))
		if err != nil {
			return fmt.Errorf("%s: %w", packager, err)
		}
		fmt.Println(file)
	}
	return nil
}
