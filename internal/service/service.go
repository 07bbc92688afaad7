// Package service installs certproxy as a service of systemd where no package manager
// does: the units, their user, and a directory for certs.d.
//
// It only makes a list of steps. Each says what it does before it is done, so that the
// same list is a dry run.
package service

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/certproxy/certproxy/systemd"
)

// A Step is one change to the machine.
type Step struct {
	Text string // what it does, as a command where it is one
	Do   func() error
}

const (
	packaged = "/usr/bin/certproxy" // where the units expect the program
	user     = "certproxy"
	marker   = "# Written by certproxy service install.\n"
)

// A Machine is where the service is installed. The zero value is this one; tests have
// others.
type Machine struct {
	Root string                     // in front of all paths; empty is /
	Run  func(args ...string) error // runs a command; nil runs it here
}

func units() []string { return []string{"certproxy.service", "certproxy.socket"} }

// Install returns what makes the program at an absolute path a service that runs now and
// at each start of the machine. Units that somebody else wrote are an error.
func (m Machine) Install(program string) ([]Step, error) {
	if err := m.usable(program); err != nil {
		return nil, err
	}
	var steps []Step
	if !m.hasUser() {
		steps = append(steps, m.command("useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", user))
	}
	const certs = "/etc/certproxy/certs.d"
	if _, err := os.Stat(m.path(certs)); errors.Is(err, fs.ErrNotExist) {
		steps = append(steps, m.command("install", "-d", "-m", "2750", "-g", user, m.path(certs)))
	}
	for _, name := range units() {
		step, err := m.unit(name, program)
		if err != nil {
			return nil, err
		}
		steps = append(steps, step)
	}
	return append(steps, m.command("systemctl", "daemon-reload"),
		m.command("systemctl", "enable", "certproxy.service", "certproxy.socket"),
		// One after the other: a socket cannot be started while its service starts. One that
		// is there stays open.
		m.command("systemctl", "start", "certproxy.socket"),
		m.command("systemctl", "restart", "certproxy.service")), nil
}

// Uninstall returns what undoes [Machine.Install]. The configuration, certs.d and the CA stay;
// all goes if purge is set.
func (m Machine) Uninstall(purge bool) ([]Step, error) {
	var steps []Step
	for _, name := range units() {
		path := m.path("/etc/systemd/system/" + name)
		text, err := os.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return nil, err
		case !strings.HasPrefix(string(text), marker):
			return nil, fmt.Errorf("%s was not written by certproxy service install; remove it yourself, or with the package that brought it", path)
		}
		steps = append(steps, Step{"remove " + path, func() error { return os.Remove(path) }})
	}
	if len(steps) > 0 {
		stop := m.command("systemctl", "disable", "--now", "certproxy.socket", "certproxy.service")
		steps = append([]Step{stop}, append(steps, m.command("systemctl", "daemon-reload"))...)
	}
	if !purge {
		return steps, nil
	}
	for _, dir := range []string{"/etc/certproxy", "/var/lib/certproxy"} {
		path := m.path(dir)
		if _, err := os.Stat(path); err == nil {
			steps = append(steps, Step{"remove " + path + " and all in it", func() error { return os.RemoveAll(path) }})
		}
	}
	if m.hasUser() {
		steps = append(steps, m.command("userdel", user))
	}
	return steps, nil
}

// usable checks that a service can be started from the path.
func (m Machine) usable(program string) error {
	if !filepath.IsAbs(program) || strings.ContainsAny(program, " \t\n%\"'\\$") {
		return fmt.Errorf("%q cannot stand in a unit; put certproxy into /usr/local/bin and run it from there", program)
	}
	for _, passing := range []string{os.TempDir() + "/", "/tmp/", "/var/tmp/", "/home/", "/root/"} {
		if strings.HasPrefix(program, passing) {
			return fmt.Errorf("%s is not where the service can start it from; put it into /usr/local/bin (install -m 755 %[1]s /usr/local/bin/), and run it from there", program)
		}
	}
	if m.Root == "" {
		if _, err := os.Stat("/run/systemd/system"); err != nil {
			return errors.New("systemd does not run here; start certproxy serve by what does")
		}
	}
	return nil
}

func (m Machine) unit(name, program string) (Step, error) {
	text, err := fs.ReadFile(systemd.Units, name)
	if err != nil {
		return Step{}, err
	}
	path := m.path("/etc/systemd/system/" + name)
	if old, err := os.ReadFile(path); err == nil && !strings.HasPrefix(string(old), marker) {
		return Step{}, fmt.Errorf("%s is there, and was not written by certproxy service install; remove it first", path)
	}
	whole := marker + strings.ReplaceAll(string(text), packaged, program)
	return Step{"write " + path, func() error {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		return os.WriteFile(path, []byte(whole), 0o644)
	}}, nil
}

func (m Machine) hasUser() bool {
	text, err := os.ReadFile(m.path("/etc/passwd"))
	return err == nil && strings.Contains("\n"+string(text), "\n"+user+":")
}

func (m Machine) path(path string) string { return filepath.Join("/", m.Root, path) }

func (m Machine) command(args ...string) Step {
	run := m.Run
	if run == nil {
		run = func(args ...string) error {
			out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
			if err != nil {
				return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
			}
			return nil
		}
	}
	return Step{strings.Join(args, " "), func() error { return run(args...) }}
}
