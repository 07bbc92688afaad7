package environment

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/certproxy/certproxy/internal/shell"
)

// Formats are the names that [Write] knows.
func Formats() []string { return []string{"sh", "fish", "docker", "systemd", "json"} }

// Write writes the variables in one of the [Formats]:
//
//   - sh: lines for eval or . of any POSIX shell
//   - fish: lines for source of the fish shell
//   - docker: the part of daemon.json that names the proxy (Docker 23 and later), which
//     says nothing of trust
//   - systemd: a drop-in for a service
//   - json: one object
func Write(w io.Writer, format string, variables []Variable) error {
	switch format {
	case "sh":
		return lines(w, variables, func(v Variable) string { return "export " + v.Name + "=" + shell.Quote(v.Value) })
	case "fish":
		return lines(w, variables, func(v Variable) string { return "set -gx " + v.Name + " " + quoteFish(v.Value) })
	case "systemd":
		if _, err := io.WriteString(w, "[Service]\n"); err != nil {
			return err
		}
		return lines(w, variables, func(v Variable) string { return "Environment=" + quoteSystemd(v.String()) })
	case "docker":
		return writeJSON(w, map[string]any{"proxies": daemonProxies(variables)})
	case "json":
		object := make(map[string]string, len(variables))
		for _, v := range variables {
			object[v.Name] = v.Value
		}
		return writeJSON(w, object)
	}
	return fmt.Errorf("format %q is none of %s", format, strings.Join(Formats(), ", "))
}

func lines(w io.Writer, variables []Variable, line func(Variable) string) error {
	for _, v := range variables {
		if _, err := io.WriteString(w, line(v)+"\n"); err != nil {
			return err
		}
	}
	return nil
}

func writeJSON(w io.Writer, value any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(value)
}

// daemonProxies are the keys of dockerd's daemon.json.
func daemonProxies(variables []Variable) map[string]string {
	keys := map[string]string{"HTTP_PROXY": "http-proxy", "HTTPS_PROXY": "https-proxy", "NO_PROXY": "no-proxy"}
	out := map[string]string{}
	for _, v := range variables {
		if key, ok := keys[v.Name]; ok {
			out[key] = v.Value
		}
	}
	return out
}

// quoteFish makes a value one word of fish, in whose single quotes a backslash escapes
// itself and the quote.
func quoteFish(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// quoteSystemd makes an assignment one word of Environment= (systemd.exec(5),
// systemd.syntax(7)): C escapes within double quotes, and % begins a specifier.
func quoteSystemd(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`, "\r", `\r`, "%", "%%").Replace(s) + `"`
}
