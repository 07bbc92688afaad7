package main

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/certproxy/certproxy/internal/throwaway"
)

// A stage is what the commands of one script share.
type stage struct {
	cas   map[string]*throwaway.Certificate // by their common names
	hosts map[string]*scriptHost            // by their names
}

type stageKey struct{}

func newStage(env *testscript.Env) {
	env.Values[stageKey{}] = &stage{cas: map[string]*throwaway.Certificate{}, hosts: map[string]*scriptHost{}}
}

func stageOf(ts *testscript.TestScript) *stage { return ts.Value(stageKey{}).(*stage) }

// validUntil is when what scripts make ends: listings show dates.
func validUntil() time.Time { return time.Date(2049, 1, 2, 0, 0, 0, 0, time.UTC) }

// ca returns a CA, made when it is first named. "Corp CA/Clients CA" is an intermediate;
// "Corp CA#2" is one more of the same name, with another key.
func (s *stage) ca(name string) *throwaway.Certificate {
	if s.cas[name] == nil {
		o := throwaway.Options{Name: name, CA: true, Usage: []x509.ExtKeyUsage{}, NotAfter: validUntil()}
		o.Name, _, _ = strings.Cut(name, "#")
		if at := strings.LastIndexByte(name, '/'); at >= 0 {
			o.Name = name[at+1:]
			s.cas[name] = s.ca(name[:at]).Issue(o)
		} else {
			s.cas[name] = throwaway.SelfSigned(o)
		}
	}
	return s.cas[name]
}

// commands are those that scripts have beside testscript's own. Of all that makes a
// certificate, -issuer CA says whose it is; "Corp CA" is the default.
//
//	pair DIR NAME [-expired] [-issuer CA] [-leaf-only] [-usage server]
//	                    writes DIR/NAME.cert and DIR/NAME.key, for client "NAME"
//	pem FILE.pem [...]  likewise writes FILE.pem and FILE-KEY.pem
//	root DIR NAME [-issuer CA] [-with-key]
//	                    writes the certificate of the CA to DIR/NAME.crt
//	mtlshost NAME [...] runs a server in the test's own process that wants client
//	                    certificates: see mtlshost. $HOST is NAME:PORT then, $PORT the port
//	proxy               runs certproxy serve until the end of the script, on a port of its
//	                    own, with a CA that the system trusts; HTTPS_PROXY names it
//	port VARIABLE       an address that nobody listens at
//	exits STATUS CMD... runs a command that has to exit with the status
//	first PATTERN...    the first lines of the last output match these, in this order
//	fix [CMD...]        pastes the first fix of the last output into a shell, and CMD after it
//	json PATH VALUE     the last output has the value at the path: findings.0.level
func commands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"pair": func(ts *testscript.TestScript, _ bool, args []string) {
			cert, key := issue(ts, args[1], args[2:])
			writeFile(ts, filepath.Join(args[0], args[1]+".cert"), cert, 0o644)
			writeFile(ts, filepath.Join(args[0], args[1]+".key"), key, 0o600)
		},
		"pem": func(ts *testscript.TestScript, _ bool, args []string) {
			cert, key := issue(ts, "client", args[1:])
			writeFile(ts, args[0], cert, 0o644)
			writeFile(ts, strings.TrimSuffix(args[0], ".pem")+"-KEY.pem", key, 0o600)
		},
		"root": func(ts *testscript.TestScript, _ bool, args []string) {
			flags, issuer := flagsOf(args[0])
			withKey := flags.Bool("with-key", false, "")
			ts.Check(flags.Parse(args[2:]))
			ca := stageOf(ts).ca(*issuer)
			writeFile(ts, filepath.Join(args[0], args[1]+".crt"), ca.CertPEM(), 0o644)
			if *withKey {
				writeFile(ts, filepath.Join(args[0], args[1]+".key"), ca.KeyPEM(), 0o600)
			}
		},
		"mtlshost": mtlshost,
		"proxy":    startProxy,
		"port": func(ts *testscript.TestScript, _ bool, args []string) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			ts.Check(err)
			ts.Setenv(args[0], l.Addr().String())
			ts.Check(l.Close())
		},
		"exits": func(ts *testscript.TestScript, _ bool, args []string) {
			want, err := strconv.Atoi(args[0])
			ts.Check(err)
			exitsWith(ts, want, args[1], args[2:]...)
		},
		"first": func(ts *testscript.TestScript, _ bool, args []string) {
			lines := strings.Split(ts.ReadFile("stdout"), "\n")
			for i, pattern := range args {
				if i >= len(lines) || !regexp.MustCompile(pattern).MatchString(lines[i]) {
					ts.Fatalf("line %d is not %q", i+1, pattern)
				}
			}
		},
		"fix": func(ts *testscript.TestScript, _ bool, args []string) {
			fix := firstFix(ts.ReadFile("stdout"))
			if fix == "" {
				ts.Fatalf("no fix was printed")
			}
			// What is started in the background has to be ready for what follows.
			script := "{ " + fix + "\n} >fix.log 2>&1\n" + `
[ -z "$!" ] || until grep -q listening fix.log; do kill -0 $! || exit 1; done
"$@"
status=$?
[ -z "$!" ] || { kill $!; wait $!; }
exit $status`
			exitsWith(ts, 0, "sh", append([]string{"-c", script, "sh"}, args...)...)
		},
		"json": func(ts *testscript.TestScript, _ bool, args []string) {
			var value any
			ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &value))
			for name := range strings.SplitSeq(args[0], ".") {
				switch v := value.(type) {
				case map[string]any:
					value = v[name]
				case []any:
					at, err := strconv.Atoi(name)
					ts.Check(err)
					if at >= len(v) {
						ts.Fatalf("%s: there are %d", args[0], len(v))
					}
					value = v[at]
				default:
					ts.Fatalf("%s: there is no %s", args[0], name)
				}
			}
			if got := fmt.Sprint(value); got != args[1] {
				ts.Fatalf("%s is %q", args[0], got)
			}
		},
	}
}

// issue makes a client's certificate as the flags say, and returns it with its chain, and
// its key, in PEM.
func issue(ts *testscript.TestScript, name string, args []string) (cert, key []byte) {
	flags, issuer := flagsOf(name)
	expired := flags.Bool("expired", false, "")
	leafOnly := flags.Bool("leaf-only", false, "")
	usage := flags.String("usage", "client", "")
	ts.Check(flags.Parse(args))
	o := throwaway.Options{Name: name, NotAfter: validUntil(), Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if *usage == "server" {
		o.Usage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	if *expired {
		o.NotBefore, o.NotAfter = time.Now().AddDate(-1, 0, 0), time.Now().AddDate(0, 0, -1)
	}
	c := stageOf(ts).ca(*issuer).Issue(o)
	if *leafOnly {
		return c.CertPEM(), c.KeyPEM()
	}
	return c.ChainPEM(), c.KeyPEM()
}

func flagsOf(name string) (flags *flag.FlagSet, issuer *string) {
	flags = flag.NewFlagSet(name, flag.ContinueOnError)
	return flags, flags.String("issuer", "Corp CA", "")
}

func writeFile(ts *testscript.TestScript, name string, data []byte, mode os.FileMode) {
	name = ts.MkAbs(name)
	ts.Check(os.MkdirAll(filepath.Dir(name), 0o755))
	ts.Check(os.WriteFile(name, data, mode))
}

// exitsWith runs a command, and keeps its output for the commands that follow.
func exitsWith(ts *testscript.TestScript, want int, command string, args ...string) {
	err := ts.Exec(command, args...)
	got := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit status %d", got)
	}
}

// firstFix returns the fix of the first finding: what follows "fix:", and the lines that
// are as far to the right.
func firstFix(report string) string {
	var fix []string
	for i, line := range strings.Split(report, "\n") {
		command, begins := strings.CutPrefix(line, "  fix: ")
		more, goesOn := strings.CutPrefix(line, "       ")
		switch {
		case begins:
			fix = append(fix, command)
		case goesOn:
			fix = append(fix, more)
		case i > 0:
			return strings.Join(fix, "\n")
		}
	}
	return ""
}
