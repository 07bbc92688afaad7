package main

import (
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// user is nobody's number on any system, and a number: Kubernetes' runAsNonRoot cannot
// look a name up in an image without /etc/passwd.
const user = 65532

// A recipe is what the images of all platforms have in common.
type recipe struct {
	version string
	time    time.Time
	health  []string // words of the command, or none
	// notices are what the licences want to go with the binary.
	notices []entry
}

// A platformImage is the image of one platform.
type platformImage struct {
	arch  string
	image v1.Image
}

// image makes the image of one platform.
func (r *recipe) image(arch string, binary []byte) (v1.Image, error) {
	roots, err := systemRoots()
	if err != nil {
		return nil, err
	}
	// Two layers: the roots change when their module does, and are shared until then.
	var layers []v1.Layer
	for _, files := range [][]entry{r.system(roots), append([]entry{{name: "certproxy", mode: 0o755, data: binary}}, r.notices...)} {
		layer, err := tarball.LayerFromOpener(opener(files, r.time), tarball.WithMediaType(types.OCILayer))
		if err != nil {
			return nil, err
		}
		layers = append(layers, layer)
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	if image, err = mutate.AppendLayers(image, layers...); err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = "linux", arch, v1.Time{Time: r.time}
	for i := range config.History {
		config.History[i].Created = v1.Time{Time: r.time}
	}
	config.Config = v1.Config{
		User:       "65532:65532",
		Entrypoint: []string{"/certproxy"},
		Cmd:        []string{"serve"},
		// With them the defaults of --state and --admin are in the volume below, whatever
		// the arguments are: the root is read-only.
		Env:     []string{"PATH=/", "XDG_STATE_HOME=/var/lib", "XDG_RUNTIME_DIR=/var/lib"},
		Volumes: map[string]struct{}{"/var/lib/certproxy": {}},
		Labels: map[string]string{
			"org.opencontainers.image.title":    "certproxy",
			"org.opencontainers.image.version":  r.version,
			"org.opencontainers.image.licenses": "Apache-2.0",
			"org.opencontainers.image.source":   "https://github.com/certproxy/certproxy",
		},
		StopSignal: "SIGTERM",
	}
	if len(r.health) > 0 {
		config.Config.Healthcheck = &v1.HealthConfig{
			Test:     append([]string{"CMD"}, r.health...),
			Interval: 10 * time.Second, Timeout: 5 * time.Second, StartPeriod: 5 * time.Second, Retries: 3,
		}
	}
	return mutate.ConfigFile(image, config)
}

// system is what stands for an operating system.
func (r *recipe) system(roots []byte) []entry {
	return []entry{
		{name: "etc/"},
		{name: "etc/certproxy/"},
		{name: "etc/certproxy/certs.d/"},
		{name: "etc/ssl/"},
		{name: "etc/ssl/certs/"},
		{name: "etc/ssl/certs/ca-certificates.crt", mode: 0o644, data: roots},
		// A body that is kept for another pair goes there when it is large: mount a tmpfs.
		{name: "tmp/", mode: 0o1777},
		{name: "var/"},
		{name: "var/lib/"},
		// The key of the local CA. A volume that docker makes takes over owner and mode.
		{name: "var/lib/certproxy/", mode: 0o700, owner: user},
	}
}
