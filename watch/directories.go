package watch

import (
	"io/fs"
	"slices"
	"syscall"
)

// An inode is a directory's identity: unlike its path it tells a new directory
// under an old name, and a mount over a directory.
type inode struct {
	dev, ino uint64
	path     string // where the system has no inodes
}

// directories are the directories being watched.
//
// inotify has one watch per inode, and fsnotify one path per watch, the first one
// added: of a directory with two paths (a bind mount) the events come under one of
// them, and removing that path blinds the other. So paths are kept by inode here.
type directories struct {
	notifier *notifier
	disk     disk
	inodes   map[string]inode
	paths    map[inode][]string // the first is the one that fsnotify knows
}

func newDirectories(n *notifier, d disk) *directories {
	return &directories{notifier: n, disk: d, inodes: map[string]inode{}, paths: map[inode][]string{}}
}

// watch watches the directory that is at path now; where a watch is on another one
// that was there, it moves. The path has no symbolic links in it. It returns the paths,
// if any, that lost their watch by that.
//
// The kernel may have ended a watch without a word that has reached us (an unmount, an
// overflow), and a new directory can have the old one's numbers. To renew finds that
// too, and changes nothing where the watch is in place.
func (d *directories) watch(path string, renew bool) (blind []string, err error) {
	id, err := d.inode(path)
	if err != nil {
		return d.unwatch(path), err
	}
	if known, ok := d.inodes[path]; ok && known != id {
		blind = d.unwatch(path)
	}
	paths := d.paths[id]
	if len(paths) == 0 || renew && paths[0] == path {
		if err := d.add(path, id); err != nil {
			return append(blind, d.forget(path)...), err
		}
	}
	if _, ok := d.inodes[path]; !ok {
		d.inodes[path] = id
		d.paths[id] = append(paths, path)
	}
	return blind, nil
}

// add makes the watch. Another directory can take the path at any moment: then the
// watch may be on either, and none is better than a wrong one. Nothing is lost, as the
// parent's watch, made before, has an event for it.
func (d *directories) add(path string, id inode) error {
	if err := d.notifier.add(path); err != nil {
		return err
	}
	if now, err := d.inode(path); err != nil || now != id {
		// Already gone, or never known under this path: both are fine.
		_ = d.notifier.remove(path)
		return fs.ErrNotExist
	}
	return nil
}

func (d *directories) inode(path string) (inode, error) {
	info, err := d.disk.lstat(path)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "watch", Path: path, Err: syscall.ENOTDIR}
	}
	if err != nil {
		return inode{}, err
	}
	return inodeOf(path, info), nil
}

// unwatch ends the watch of a path. It returns the other paths of the directory if
// they lost their watch by that.
func (d *directories) unwatch(path string) (blind []string) {
	id, ok := d.inodes[path]
	if !ok {
		return nil
	}
	if paths := d.paths[id]; paths[0] != path {
		d.paths[id] = slices.DeleteFunc(paths, func(p string) bool { return p == path })
		delete(d.inodes, path)
		return nil
	}
	return d.forget(path)[1:]
}

// forget ends the watch of the directory that was seen at path, for all its paths,
// and returns them: this one first if it is the one that fsnotify knows.
func (d *directories) forget(path string) (blind []string) {
	id, ok := d.inodes[path]
	if !ok {
		return nil
	}
	blind = d.paths[id]
	for _, p := range blind {
		delete(d.inodes, p)
	}
	delete(d.paths, id)
	// The error says that the kernel ended the watch before us.
	_ = d.notifier.remove(blind[0])
	return blind
}

// aliases returns every path of the directory whose events come under path.
func (d *directories) aliases(path string) []string {
	if id, ok := d.inodes[path]; ok {
		return d.paths[id]
	}
	return nil
}
