package check

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/certproxy/certproxy/certs"
)

// A Target is what to ask for, and of whom.
type Target struct {
	Host   string `json:"host"`   // canonical name:port
	Path   string `json:"path"`   // encoded
	Chosen bool   `json:"chosen"` // the path was named, and is not the default

	accept string
}

// defaultPath is the one that every registry answers, with 200 or a challenge (OCI
// distribution specification, end-1).
const defaultPath = "/v2/"

// manifests are the types that a client which pulls an image says it knows.
const manifests = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, " +
	"application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json, */*"

// ParseTarget reads HOST[:PORT][/PATH]. A scheme of a URL in front of it is passed
// over, as docker:// of skopeo is. A path whose last part has a tag or a digest is the
// name of an image, and becomes the path of its manifest.
func ParseTarget(s string) (*Target, error) {
	shown := certs.WithoutSecrets(s)
	scheme, rest, ok := strings.Cut(s, "://")
	switch {
	case !ok:
		rest = s
	case scheme == "http":
		return nil, fmt.Errorf("%q is plain http, which needs no certificate; name HOST[:PORT][/PATH]", shown)
	case scheme != "https" && scheme != "docker":
		return nil, fmt.Errorf("%q has the scheme %q; name HOST[:PORT][/PATH]", shown, scheme)
	}
	if strings.ContainsAny(rest, "?#") {
		return nil, fmt.Errorf("%q has a query or a fragment; leave it out", shown)
	}
	host, path, hasPath := strings.Cut(rest, "/")
	name, err := certs.ParseHost(host)
	if err != nil {
		return nil, err
	}
	t := &Target{Host: name, Path: defaultPath}
	if !hasPath || path == "" || path == "v2/" {
		return t, nil
	}
	t.Chosen = true
	if image, ok := imageManifest(path); ok {
		t.Path, t.accept = image, manifests
		return t, nil
	}
	u, err := url.ParseRequestURI("/" + path)
	if err != nil {
		return nil, errors.New("the path has a character that must be percent-encoded, or a % that is none")
	}
	t.Path = u.EscapedPath()
	if strings.HasPrefix(t.Path, "//") {
		return nil, errors.New("the path begins with two slashes")
	}
	return t, nil
}

// imageManifest returns the path of an image's manifest: of team/app:1.2, or
// team/app@sha256:....
func imageManifest(name string) (string, bool) {
	other := func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("._-/:@+", c)
	}
	if strings.HasPrefix(name, "v2/") || strings.HasPrefix(name, "/") || strings.ContainsFunc(name, other) {
		return "", false
	}
	slash := strings.LastIndexByte(name, '/') + 1
	repository, reference, ok := strings.Cut(name[slash:], "@")
	if !ok {
		repository, reference, ok = strings.Cut(name[slash:], ":")
	} else {
		repository, _, _ = strings.Cut(repository, ":")
	}
	if !ok || repository == "" || reference == "" {
		return "", false
	}
	return "/v2/" + name[:slash] + repository + "/manifests/" + reference, true
}
