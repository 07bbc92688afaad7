package systemd

import "embed"

// Units are the unit files that are shipped, by name; those of users are in user, the drop-ins
// for other services in drop-ins.
//
//go:embed *.service *.socket user drop-ins
var Units embed.FS
