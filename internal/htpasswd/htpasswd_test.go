package htpasswd

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"
)

func line(t testing.TB, user, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return user + ":" + strings.Replace(string(hash), "$2a$", "$2y$", 1) + "\n"
}

func open(t *testing.T, text string) (*Store, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "htpasswd")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return s, path
}

func verify(t *testing.T, s *Store, client, user, password string) Answer {
	t.Helper()
	a, err := s.Verify(t.Context(), client, user, password)
	if err != nil {
		t.Error(err)
	}
	return a
}

func TestOnlyThePasswordOfTheUserOpens(t *testing.T) {
	s, _ := open(t, "# people\n\n"+line(t, "bob", "secret")+line(t, "eve", "other"))
	for range 2 { // the second time from memory
		for _, c := range []struct {
			user, password string
			want           bool
		}{{"bob", "secret", true}, {"eve", "other", true}, {"bob", "other", false}, {"mallory", "secret", false}, {"", "", false}} {
			if a := verify(t, s, c.user+c.password, c.user, c.password); a.OK != c.want || a.Retry > 0 {
				t.Errorf("%q with %q = %+v, want %v", c.user, c.password, a, c.want)
			}
		}
	}
}

func TestAMistakeInTheFileNamesItsLineAndNoHash(t *testing.T) {
	good := line(t, "bob", "x")
	for text, want := range map[string]string{
		"bob:$apr1$SECRET":                     `line 1: the password of user "bob" is not hashed with bcrypt; make it with htpasswd -B`,
		good + "eve:{SHA}SECRET":               "line 2: ",
		good + "\nSECRET":                      "line 3: is not user:hash",
		good + good:                            `line 2: user "bob" is on line 1 already`,
		"bob:$2y$05$SECRET":                    "is damaged",
		strings.Replace(good, "04", "31", 1):   "takes too long",
		strings.Replace(good, "$2y", "$2x", 1): "htpasswd -B",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("Parse(%q) = %v, want %q", text, err, want)
		}
	}
}

func TestAFileThatAllCanReadIsWarnedOf(t *testing.T) {
	s, path := open(t, line(t, "bob", "x"))
	if s.File().Warning != nil {
		t.Errorf("mode 0600: %v", s.File().Warning)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if f, err := Load(path); err != nil || f.Warning == nil {
		t.Errorf("mode 0644: %v, %v", f, err)
	}
}

func TestAGuesserIsSlowedDownAndLocksNobodyOut(t *testing.T) {
	s, _ := open(t, line(t, "bob", "secret"))
	looked := 0
	for range 200 {
		if verify(t, s, "attacker", "bob", "wrong").Retry == 0 {
			looked++
		}
	}
	if looked < perClient || looked > perClient+3 {
		t.Errorf("%d guesses of 200 were looked at, want about %d", looked, perClient)
	}
	if a := verify(t, s, "attacker", "bob", "secret"); a.OK || a.Retry <= 0 {
		t.Errorf("the right password after that = %+v, want to wait", a)
	}
	if a := verify(t, s, "home", "bob", "secret"); !a.OK {
		t.Errorf("bob from elsewhere = %+v", a)
	}
}

func TestRightPasswordsAtOnceAreNoGuesses(t *testing.T) {
	s, _ := open(t, line(t, "bob", "secret"))
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			if a := verify(t, s, "home", "bob", "secret"); !a.OK {
				t.Errorf("%+v", a)
			}
		})
	}
	wg.Wait()
}

func TestGuessesComeBackWithTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, err := newGuesses()
		if err != nil {
			t.Fatal(err)
		}
		for range perClient {
			g.take("c", "u", 1)
		}
		wait := g.take("c", "u", 1)
		if wait != refill {
			t.Errorf("wait = %v, want %v", wait, refill)
		}
		<-time.After(wait)
		if wait := g.take("c", "u", 1); wait != 0 {
			t.Errorf("after waiting: %v", wait)
		}
	})
}

func TestWaitingForAComparisonEndsWithTheContext(t *testing.T) {
	s, _ := open(t, line(t, "bob", "secret"))
	for range cap(s.slots) {
		s.slots <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if a, err := s.Verify(ctx, "home", "bob", "secret"); !errors.Is(err, context.Canceled) || a.OK {
		t.Errorf("Verify = %+v, %v", a, err)
	}
}

func TestAChangedFileIsNoticedAndABrokenOneChangesNothing(t *testing.T) {
	s, path := open(t, line(t, "bob", "old"))
	verify(t, s, "home", "bob", "old")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s.looked.Store(0) // a second has passed
	}
	write("garbage")
	if a := verify(t, s, "home", "bob", "old"); !a.OK || a.Reload == nil {
		t.Errorf("with a broken file: %+v, want the last good one and the error", a)
	}
	s.looked.Store(0)
	if a := verify(t, s, "home", "bob", "old"); !a.OK || a.Reload != nil {
		t.Errorf("with the same broken file: %+v, want no second error", a)
	}
	write(line(t, "bob", "new"))
	if a := verify(t, s, "home", "bob", "old"); a.OK {
		t.Error("the old password still opens, from memory")
	}
	if a := verify(t, s, "home", "bob", "new"); !a.OK {
		t.Errorf("the new password: %+v", a)
	}
	write("")
	if a := verify(t, s, "home", "bob", "new"); a.OK {
		t.Error("a user who was removed still gets in")
	}
}

func TestAnUnknownUserCostsWhatAKnownOneCosts(t *testing.T) {
	f, err := Parse([]byte("bob:$2y$11$" + strings.Repeat("u", 53)))
	if err != nil {
		t.Fatal(err)
	}
	if cost, err := bcrypt.Cost([]byte(f.dummy)); err != nil || cost != 11 {
		t.Errorf("cost of the dummy = %d, %v, want 11", cost, err)
	}
	if err := bcrypt.CompareHashAndPassword([]byte(f.dummy), []byte("x")); !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		t.Errorf("comparing with the dummy ends with %v, before the work", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("# c\nbob:$2y$05$" + strings.Repeat("a", 53) + "\n"))
	f.Add([]byte("bob:$apr1$x\n:\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := Parse(text)
		if err != nil {
			return
		}
		for user, hash := range file.hashes {
			if cost, err := bcrypt.Cost([]byte(hash)); err != nil || cost > maxCost || user == "" {
				t.Errorf("%q:%q is taken: cost %d, %v", user, hash, cost, err)
			}
		}
	})
}
