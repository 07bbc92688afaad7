// Image makes the container image of certproxy without a daemon: from nothing, the
// binary of each platform, and the CA roots that a system would have. The same input
// gives the same bytes.
//
//	image -version VERSION -out FILE [-top DIR] ARCH=BINARY...
//
// FILE is a tar of an OCI image layout with an index over all platforms, and at the
// same time what docker load reads: there each platform is a tag of its own,
// certproxy:VERSION-ARCH. DIR is the top of the repository (.), which holds the licences.
// SOURCE_DATE_EPOCH, in seconds, is the time of everything in it; a clock is never asked.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func main() {
	var (
		version = flag.String("version", "", "what git describe says")
		out     = flag.String("out", "", "takes the image")
		top     = flag.String("top", ".", "top of the repository")
		health  = flag.String("healthcheck", "", "the `command`, in words, by which docker asks the binary for its health")
	)
	flag.Parse()
	if err := run(*version, *out, *top, strings.Fields(*health), flag.Args()); err != nil {
		fmt.Fprintf(os.Stderr, "image: %v\n", err)
		os.Exit(1)
	}
}

func run(version, out, top string, health, binaries []string) error {
	epoch := os.Getenv("SOURCE_DATE_EPOCH")
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH is %q, not a number of seconds; set it to the time of the commit: git log -1 --format=%%ct", epoch)
	}
	if version == "" || out == "" || len(binaries) == 0 {
		return fmt.Errorf("-version, -out and ARCH=BINARY are needed; see packaging/image/main.go")
	}
	r := recipe{version: version, time: time.Unix(seconds, 0).UTC(), health: health}
	if r.notices, err = notices(top); err != nil {
		return err
	}
	var images []platformImage
	for _, spec := range binaries {
		arch, file, ok := strings.Cut(spec, "=")
		if !ok {
			return fmt.Errorf("%q is not of the form ARCH=BINARY", spec)
		}
		binary, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		image, err := r.image(arch, binary)
		if err != nil {
			return fmt.Errorf("%s: %w", arch, err)
		}
		images = append(images, platformImage{arch, image})
	}
	return r.write(out, images)
}

// notices are the licences, at the place where rpm has them.
func notices(top string) ([]entry, error) {
	const dir = "usr/share/licenses/certproxy/"
	out := []entry{{name: "usr/"}, {name: "usr/share/"}, {name: "usr/share/licenses/"}, {name: dir}}
	for _, name := range []string{"LICENSE", "THIRD-PARTY-NOTICES"} {
		text, err := os.ReadFile(filepath.Join(top, name))
		if err != nil {
			return nil, err
		}
		out = append(out, entry{name: dir + name, mode: 0o644, data: text})
	}
	return out, nil
}
