package rig

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A SecretVolume is a directory as the kubelet makes it of secrets: the files lie below
// a directory with a time in its name, to which ..data leads, and every name at the top
// leads through ..data. An update swaps ..data at once.
//
// See k8s.io/kubernetes/pkg/volume/util, AtomicWriter and SetVolumeOwnership.
type SecretVolume struct {
	Path   string
	group  int // fsGroup of the pod
	serial int
}

// NewSecretVolume makes one of files, by their paths. With defaultMode 0400 and an
// fsGroup, they are root's, mode 0440, and of the group.
func NewSecretVolume(t testing.TB, fsGroup int, files map[string][]byte) *SecretVolume {
	t.Helper()
	v := &SecretVolume{Path: filepath.Join(Dir(t), "volume"), group: fsGroup}
	if err := os.Mkdir(v.Path, 0o777); err != nil {
		t.Fatal(err)
	}
	v.own(t, v.Path, os.ModeSetgid|os.ModeSticky|0o777)
	v.Update(t, files)
	return v
}

// Update replaces all files, as the kubelet does when a secret has changed.
func (v *SecretVolume) Update(t testing.TB, files map[string][]byte) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	v.serial++
	stamp := fmt.Sprintf("..2026_01_02_15_04_05.%010d", v.serial)
	top := map[string]bool{}
	for name, data := range files {
		path := Write(t, v.Path, filepath.Join(stamp, name), data, 0o400)
		v.own(t, path, 0o440)
		for dir := filepath.Dir(path); dir != v.Path; dir = filepath.Dir(dir) {
			v.own(t, dir, os.ModeSetgid|0o755)
		}
		first, _, _ := strings.Cut(name, "/")
		top[first] = true
	}
	old, err := os.Readlink(filepath.Join(v.Path, "..data"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	check(os.Symlink(stamp, filepath.Join(v.Path, "..data_tmp")))
	check(os.Rename(filepath.Join(v.Path, "..data_tmp"), filepath.Join(v.Path, "..data")))
	for name := range top {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(v.Path, name)); err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
	}
	if old != "" {
		check(os.RemoveAll(filepath.Join(v.Path, old)))
	}
}

func (v *SecretVolume) own(t testing.TB, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chown(path, 0, v.group); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// AsInPod is the command under which a program has the volumes read-only, and is the
// user and the group, without any privilege.
func AsInPod(id string, volumes ...*SecretVolume) []string {
	script := `set -e; `
	for _, v := range volumes {
		script += `mount --bind ` + v.Path + ` ` + v.Path + `; mount -o remount,bind,ro ` + v.Path + `; `
	}
	script += `exec setpriv --reuid ` + id + ` --regid ` + id + ` --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all "$@"`
	return []string{"unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"}
}
