package child

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// Exit statuses of a command that could not be run (POSIX, XCU section 2.8.2).
const (
	NotExecutable = 126
	NotFound      = 127
)

// An Error says why a command could not be run.
type Error struct {
	Status int // NotFound or NotExecutable
	Text   string
}

// Error returns one line: thing, cause, what to do.
func (e *Error) Error() string { return e.Text }

// Find returns the path of a command, as a shell finds it in PATH. The error is an
// [*Error].
func Find(name string) (string, error) {
	path, err := exec.LookPath(name)
	switch {
	case err == nil, errors.Is(err, exec.ErrDot): // the caller's PATH has the directory they are in: as they wish
		return path, nil
	case name == "":
		return "", &Error{NotFound, "the command is empty; name one"}
	case errors.Is(err, fs.ErrPermission):
		return "", notExecutable(name)
	case errors.Is(err, exec.ErrNotFound) && !strings.Contains(name, "/"):
		if file := inPath(name); file != "" {
			return "", notExecutable(file)
		}
		return "", &Error{NotFound, fmt.Sprintf("%s: command not found; check its spelling and PATH, or, for what only a shell knows, use: sh -c '...'", name)}
	}
	if info, statErr := os.Stat(name); statErr == nil && info.IsDir() {
		return "", &Error{NotExecutable, name + ": it is a directory; name a program in it"}
	}
	return "", &Error{NotFound, fmt.Sprintf("%s: %v; check its spelling", name, cause(err))}
}

func notExecutable(file string) *Error {
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		return &Error{NotExecutable, file + ": it is a directory; name a program in it"}
	}
	return &Error{NotExecutable, fmt.Sprintf("%s: permission denied; make it executable: chmod +x %s", file, quote(file))}
}

// inPath returns a file of that name in PATH, which is no program then.
func inPath(name string) string {
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		file := filepath.Join(dir, name)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			return file
		}
	}
	return ""
}

// explain says why a program that was found could not be started.
func explain(cmd *exec.Cmd, err error) *Error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &Error{NotFound, cmd.Path + ": the interpreter that its first line names, or its loader, is not there; look at: head -n 1 " + quote(cmd.Path)}
	case errors.Is(err, fs.ErrPermission):
		return notExecutable(cmd.Path)
	case errors.Is(err, syscall.ENOEXEC):
		return &Error{NotExecutable, cmd.Path + ": it is neither a program of this machine nor a script; begin a script with a line such as #!/bin/sh"}
	case errors.Is(err, syscall.E2BIG):
		return &Error{NotExecutable, cmd.Path + ": arguments and environment are too long for the system; pass less"}
	}
	return &Error{NotExecutable, fmt.Sprintf("%s: cannot be started: %v", cmd.Path, cause(err))}
}

// cause strips the path, which the error names already.
func cause(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	if ee, ok := errors.AsType[*exec.Error](err); ok {
		return cause(ee.Err)
	}
	return err
}

// quote makes a path one word of a POSIX shell.
func quote(path string) string { return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'" }
