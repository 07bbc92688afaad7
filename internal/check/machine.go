package check

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/certproxy/certproxy/watch"
)

// lookAtLimits says whether the system lets every directory be watched.
func (r *run) lookAtLimits() {
	err := watch.Try(r.directories())
	if err == nil {
		r.report.add(rankMachine, Finding{Level: OK, About: "inotify", Text: "every host directory can be watched"})
		return
	}
	fix := "sudo sysctl -w fs.inotify.max_user_watches=524288 && echo fs.inotify.max_user_watches=524288 | sudo tee /etc/sysctl.d/60-certproxy.conf"
	if strings.Contains(err.Error(), "max_user_instances") {
		fix = strings.ReplaceAll(strings.ReplaceAll(fix, "max_user_watches", "max_user_instances"), "524288", "1024")
	}
	r.report.add(rankMachine, Finding{Level: Warning, About: "inotify", Text: strings.TrimPrefix(err.Error(), "watch: "), Fix: fix})
}

// lookAtDaemons says whether dockerd and containerd, where they are, are told of a
// proxy: they do not see the environment of who calls docker.
func (r *run) lookAtDaemons() {
	at := r.proxyURL()
	for _, d := range []struct {
		name, unit string
		programs   []string
		files      []string // what else may name a proxy
	}{
		{"dockerd", "docker", []string{"/usr/bin/dockerd", "/usr/sbin/dockerd", "/usr/local/bin/dockerd"}, []string{"/etc/docker/daemon.json", "/etc/default/docker"}},
		{"containerd", "containerd", []string{"/usr/bin/containerd", "/usr/local/bin/containerd"}, nil},
	} {
		there := false
		for _, p := range d.programs {
			there = there || r.exists(p)
		}
		if !there {
			continue
		}
		files := d.files
		for _, dir := range []string{"/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"} {
			files = append(files, dir+"/"+d.unit+".service")
			drops, _ := filepath.Glob(filepath.Join(r.Machine, dir, d.unit+".service.d", "*.conf")) // the pattern is right
			for _, drop := range drops {
				files = append(files, strings.TrimPrefix(drop, filepath.Clean(r.Machine)))
			}
		}
		named, found := "", false
		for _, file := range files {
			data, err := os.ReadFile(filepath.Join(r.Machine, file))
			if err != nil {
				continue
			}
			lower := strings.ToLower(string(data))
			if strings.Contains(lower, "https_proxy=") || strings.Contains(lower, `"https-proxy"`) {
				named, found = file, true
				if strings.Contains(string(data), strings.SplitN(at, "//", 2)[1]) {
					break
				}
			}
		}
		if found {
			r.report.add(rankMachine, Finding{Level: OK, About: d.name, Text: "a proxy is set for it in " + named})
			continue
		}
		drop := "/etc/systemd/system/" + d.unit + ".service.d"
		r.report.add(rankMachine, Finding{Level: Note, About: d.name, Text: "no proxy is set for it, so it goes around certproxy",
			Fix: "sudo mkdir -p " + drop + "\nprintf '[Service]\\nEnvironment=HTTPS_PROXY=" + at + "\\n' | sudo tee " + drop + "/certproxy.conf\n" +
				"sudo systemctl daemon-reload && sudo systemctl restart " + d.unit})
	}
}

func (r *run) exists(file string) bool {
	_, err := os.Stat(filepath.Join(r.Machine, file))
	return err == nil
}
