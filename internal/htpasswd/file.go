// Package htpasswd answers whether a password is that of a user in a file of
// `htpasswd -B`, without giving a guesser speed, cores or hints.
//
// A [File] is such a file as a value. A [Store] holds the one in use, reads it again when it
// has changed, remembers what was verified, and makes guessing slow. Nothing here logs;
// no error holds a password or a hash.
package htpasswd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

const (
	maxSize = 4 << 20
	maxCost = 16 // some seconds a comparison; 31 would take a day
)

// A File is who has which password. It is immutable.
type File struct {
	// Warning is what should be changed although the file is used.
	Warning error

	hashes map[string]string
	dummy  string // is compared for users who are not there
	info   os.FileInfo
}

// Users returns how many users there are.
func (f *File) Users() int { return len(f.hashes) }

// Load reads a file.
func Load(path string) (*File, error) {
	r, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	info, err := r.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	text, err := io.ReadAll(io.LimitReader(r, maxSize+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxSize {
		return nil, fmt.Errorf("%s is larger than %d MiB", path, maxSize>>20)
	}
	f, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f.info = info
	if info.Mode().Perm()&0o004 != 0 {
		f.Warning = fmt.Errorf("%s can be read by every user (mode %04o), who can then guess at leisure; chmod 0640 it", path, info.Mode().Perm())
	}
	return f, nil
}

// Parse reads the text of a file, and tells everything that is wrong with it.
func Parse(text []byte) (*File, error) {
	f := &File{hashes: map[string]string{}}
	lines := map[string]int{}
	var errs []error
	highest := bcrypt.MinCost
	for i, line := range bytes.Split(text, []byte("\n")) {
		s := strings.TrimSpace(string(line))
		if s == "" || s[0] == '#' {
			continue
		}
		user, hash, cost, err := entry(s)
		if err == nil && lines[user] != 0 {
			err = fmt.Errorf("user %q is on line %d already", user, lines[user])
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("line %d: %w", i+1, err))
			continue
		}
		lines[user], f.hashes[user] = i+1, hash
		highest = max(highest, cost)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if len(f.hashes) == 0 {
		highest = bcrypt.DefaultCost
	}
	// Nobody knows a password for it; comparing costs what the others cost.
	f.dummy = fmt.Sprintf("$2a$%02d$%s", highest, strings.Repeat("u", 53))
	return f, nil
}

// entry reads one line. What is quoted in an error is never the hash.
func entry(s string) (user, hash string, cost int, err error) {
	user, hash, ok := strings.Cut(s, ":")
	if !ok || user == "" {
		return "", "", 0, errors.New("is not user:hash; make it with htpasswd -B")
	}
	if !strings.HasPrefix(hash, "$2y$") && !strings.HasPrefix(hash, "$2a$") && !strings.HasPrefix(hash, "$2b$") {
		return "", "", 0, fmt.Errorf("the password of user %q is not hashed with bcrypt; make it with htpasswd -B", user)
	}
	cost, err = bcrypt.Cost([]byte(hash))
	if err != nil || len(hash) != 60 || strings.Trim(hash[7:], "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") != "" {
		return "", "", 0, fmt.Errorf("the hash of user %q is damaged; make it again with htpasswd -B", user)
	}
	if cost > maxCost {
		return "", "", 0, fmt.Errorf("the hash of user %q has the cost %d, which takes too long; make it with htpasswd -B -C 12", user, cost)
	}
	return user, hash, cost, nil
}

// matches compares a password, with the same work for a user who is not there.
func (f *File) matches(user, password string) bool {
	hash, there := f.hashes[user]
	if !there {
		hash = f.dummy
	}
	err := bcrypt.CompareHashAndPassword([]byte(hash), []byte(password))
	return err == nil && there
}
