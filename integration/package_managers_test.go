package integration

import (
	"crypto/tls"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certproxy/certproxy/integration/rig"
)

// A packageClient is a client of docs/clients.md that fetches hello.txt from a server with
// what writeIndexes wrote, and prints it. In its script, $URL is the server's, and the
// working directory is empty.
type packageClient struct {
	name    string
	program string
	debian  bool   // setup.sh installs it; else it is shown where it is there: Debian has none, or it is large
	file    string // further, of a package
	script  string
	trusts  string // the variable by which it trusts the server without certproxy, if not SSL_CERT_FILE
	exec    bool   // by certproxy exec alone: env has nothing for it, or it takes its time
}

func packageClients() []packageClient {
	return []packageClient{
		{name: "pip", program: "/usr/bin/python3", debian: true, file: "/usr/lib/python3/dist-packages/pip/__init__.py", trusts: "PIP_CERT",
			script: `/usr/bin/python3 -m pip --disable-pip-version-check --no-cache-dir -q --retries 0 install --root-user-action ignore --target to --index-url "$URL/simple" hello && cat to/hello.txt`},
		{name: "npm", program: "npm", debian: true, trusts: "NODE_EXTRA_CA_CERTS",
			script: `npm install --silent --no-audit --no-fund --no-update-notifier --fetch-retries=0 --registry "$URL/npm/" hello >&2 && cat node_modules/hello/hello.txt`},
		{name: "go mod download", program: "go", debian: true,
			script: `GOENV=off GOPROXY=$URL/go GOSUMDB=off GOTOOLCHAIN=local GOFLAGS=-modcacherw GOMODCACHE=$PWD/mod GOCACHE=$PWD/cache go mod download example.test/hello@v1.0.0 &&
				cat mod/example.test/hello@v1.0.0/hello.txt`},
		{name: "cargo", program: "cargo", trusts: "CARGO_HTTP_CAINFO",
			script: `mkdir -p .cargo src && : >src/lib.rs
				printf '[package]\nname = "x"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\nhello = { version = "1", registry = "corp" }\n' >Cargo.toml
				printf '[registries.corp]\nindex = "sparse+%s/cargo/index/"\n' "$URL" >.cargo/config.toml
				CARGO_NET_RETRY=0 CARGO_HOME=$PWD/home cargo fetch -q && cat home/registry/src/*/hello-1.0.0/hello.txt`},
		{name: "wget", program: "wget", debian: true, script: `wget -q --tries=1 -O - --ca-certificate="$SSL_CERT_FILE" "$URL/hello.txt"`},
		{name: "Python urllib", program: "/usr/bin/python3", debian: true,
			script: `/usr/bin/python3 -c 'import sys, urllib.request; sys.stdout.write(urllib.request.urlopen(sys.argv[1]).read().decode())' "$URL/hello.txt"`},
		{name: "Python httpx", program: "/usr/bin/python3", debian: true, file: "/usr/lib/python3/dist-packages/httpx/__init__.py",
			script: `/usr/bin/python3 -c 'import sys, httpx; sys.stdout.write((lambda r: r.raise_for_status() or r.text)(httpx.get(sys.argv[1])))' "$URL/hello.txt"`},
		{name: "kubectl", program: "kubectl", script: `kubectl --token x --server "$URL" --certificate-authority "$SSL_CERT_FILE" get --raw /hello.txt`},
		{name: "AWS command line", program: "aws", trusts: "AWS_CA_BUNDLE", exec: true,
			script: `AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x AWS_DEFAULT_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true AWS_MAX_ATTEMPTS=1 aws --endpoint-url "$URL" s3api get-object --bucket bucket --key hello.txt out >&2 && cat out`},
		{name: "terraform", program: "terraform",
			script: `printf 'module "hello" {\n  source = "%s/hello.tar.gz"\n}\n' "$URL" >main.tf && CHECKPOINT_DISABLE=1 terraform init -input=false >&2 && cat .terraform/modules/hello/hello.txt`},
		{name: "Maven", program: "mvn", exec: true,
			script: `printf '<project><modelVersion>4.0.0</modelVersion><parent><groupId>test.hello</groupId><artifactId>hello</artifactId><version>1.0</version><relativePath/></parent><artifactId>x</artifactId><packaging>pom</packaging><repositories><repository><id>corp</id><url>%s/maven</url></repository></repositories></project>' "$URL" >pom.xml
				mvn -q -B -Dmaven.repo.local="$PWD/m2" validate >&2 && sed -n 's/.*<!-- //; 1p' m2/test/hello/hello/1.0/hello-1.0.pom`},
	}
}

// Package managers and other clients of a language fetch from a server that wants a
// client certificate, with what docs/clients.md has, and no setting of their own: behind
// certproxy exec, and in a shell that has read certproxy env.
func TestPackageManagersFetch(t *testing.T) {
	t.Parallel()
	id := rig.NewIdentities(t, name)
	files := rig.Dir(t)
	s := rig.ServeTLS(t, id, &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert}, http.FileServer(http.Dir(files)))
	e := newExecRun(t, s)
	const text = "a package that wants a certificate\n"
	writeIndexes(t, files, "https://"+e.host, text)
	proxy := rig.Serve(t, rig.Options{Certs: e.certs, Names: []string{name}})
	for _, c := range packageClients() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			program, err := exec.LookPath(c.program)
			if c.debian {
				rig.Need(t, c.program)
			} else if err != nil {
				t.Skipf("PREREQUISITE MISSING: %s, which integration/setup.sh does not install: Debian has none, or it is large", c.program)
			}
			if c.file != "" {
				rig.NeedFile(t, c.file)
			}
			command := func(more ...string) rig.Command {
				k := e.command()
				k.Dir = t.TempDir()
				k.Env = append(k.Env, "URL=https://"+e.host, "PATH="+filepath.Dir(program)+":/usr/local/bin:/usr/bin:/bin")
				if home, err := os.UserHomeDir(); err == nil {
					k.Env = append(k.Env, "RUSTUP_HOME="+filepath.Join(home, ".rustup")) // where cargo is one of rustup
				}
				k.Env = append(k.Env, more...)
				return k
			}
			shows := func(how string, k rig.Command) {
				if r := rig.Run(t, k); r.Exit != 0 || r.Stdout != text {
					t.Errorf("%s: exit status %d, %q\n%s", how, r.Exit, r.Stdout, r.Stderr)
				}
			}
			direct := command("x=")
			if c.trusts != "" {
				direct = command(c.trusts + "=" + e.CAFile())
			}
			direct.Args = []string{"sh", "-c", c.script}
			if r := rig.Run(t, direct); r.Exit == 0 {
				t.Fatalf("without certproxy it was let in: %q", r.Stdout)
			}
			k := command()
			k.Args = []string{rig.Binary(t), "exec", "--certs", e.certs, "--", "sh", "-c", c.script}
			shows("certproxy exec", k)
			if c.exec {
				return
			}
			k = command()
			k.Args = []string{"sh", "-c", `eval "$("$0" env --listen "$1" --state "$2" --bundle "$PWD/bundle.pem")"` + "\n" + c.script,
				rig.Binary(t), strings.TrimPrefix(proxy.URL(), "http://"), filepath.Dir(proxy.CAFile)}
			shows("certproxy env", k)
		})
	}
	t.Cleanup(func() { e.leftNothing(t) })
}
