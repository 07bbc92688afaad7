// Package environment knows what client programs read: which variables name a proxy,
// which ones the CAs to trust, and how each is written for a shell, a service or a
// daemon.
//
// It starts no program and writes no file but those of [WriteTrust]. What a variable
// does is decided by the programs that read it; each is listed with the one that does.
package environment

// A Variable is an environment variable.
type Variable struct{ Name, Value string }

// String is the form of os.Environ.
func (v Variable) String() string { return v.Name + "=" + v.Value }

// Proxy returns the variables that send a client's requests to a proxy. Some programs
// read only the lower-case names (wget; curl, for http), some only the others; and
// those with configuration files of their own let these win, but for a variable of
// their own.
func Proxy(url string) []Variable {
	return []Variable{
		{"HTTPS_PROXY", url},
		{"HTTP_PROXY", url},
		{"https_proxy", url},
		{"http_proxy", url},
		{"PIP_PROXY", url},              // pip, over pip.conf
		{"npm_config_https_proxy", url}, // npm, over .npmrc
		{"npm_config_proxy", url},
		{"CARGO_HTTP_PROXY", url},   // cargo, over its config.toml and git's
		{"NODE_USE_ENV_PROXY", "1"}, // Node.js obeys the others with it alone, from 24.0 and 22.21 on
	}
}

// TrustNames returns the variables that name a file with the CAs to trust, PEM. All
// but the additional ones replace the CAs that a program would have trusted.
func TrustNames() []string {
	return []string{
		"SSL_CERT_FILE",                      // OpenSSL, Go, Python's ssl, Ruby, Rust's native roots
		"CURL_CA_BUNDLE",                     // curl, Python's requests
		"REQUESTS_CA_BUNDLE",                 // Python's requests
		"PIP_CERT",                           // pip
		"GIT_SSL_CAINFO",                     // git
		"NODE_EXTRA_CA_CERTS",                // Node.js, in addition
		"npm_config_cafile",                  // npm
		"CARGO_HTTP_CAINFO",                  // cargo
		"AWS_CA_BUNDLE",                      // the AWS command line and SDKs
		"DENO_CERT",                          // Deno, in addition
		"CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE", // gcloud
		"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",   // gRPC's C core, and all on top of it
		"NIX_SSL_CERT_FILE",                  // nix, and OpenSSL as built by it
	}
}

// Trust returns the variables that make clients trust the CAs of a file.
func Trust(file string) []Variable {
	names := TrustNames()
	out := make([]Variable, len(names))
	for i, name := range names {
		out[i] = Variable{name, file}
	}
	return out
}

// Merge returns an environment, in the form of os.Environ, with the variables set.
func Merge(environ []string, set []Variable) []string {
	names := make(map[string]bool, len(set))
	for _, v := range set {
		names[v.Name] = true
	}
	out := make([]string, 0, len(environ)+len(set))
	for _, entry := range environ {
		if !names[nameOf(entry)] {
			out = append(out, entry)
		}
	}
	for _, v := range set {
		out = append(out, v.String())
	}
	return out
}

// nameOf returns the name of an entry.
func nameOf(entry string) string {
	for i := range len(entry) {
		if entry[i] == '=' {
			return entry[:i]
		}
	}
	return entry
}
