package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/certproxy/certproxy/internal/ca"
	"github.com/certproxy/certproxy/internal/config"
	"github.com/certproxy/certproxy/internal/environment"
	"github.com/certproxy/certproxy/internal/listen"
)

func newEnv() *cobra.Command {
	cmd := &cobra.Command{
		Use: "env", Short: "Print the variables that lead clients through a running proxy", Args: noArgs,
		Long: "Print what a shell, a service or dockerd has to be told so that clients use a proxy\n" +
			"that runs already and trust its CA. Nothing is changed.\n\n" +
			"Most of the variables replace the CAs that a client trusts. So they name the\n" +
			"system's bundle where that has the CA (certproxy trust install), or the file of\n" +
			"--bundle, into which the system's CAs and the proxy's are written; else ca.crt,\n" +
			"with which hosts that are only tunnelled do not verify.\n\n" +
			"Formats: sh and fish for shells; systemd, a drop-in for a service such as\n" +
			"docker.service; docker, the part of daemon.json that names the proxy; json.",
		Example: "  eval \"$(certproxy env)\"\n" +
			"  certproxy env --format systemd >/etc/systemd/system/docker.service.d/certproxy.conf\n" +
			"  certproxy env --bundle ~/.cache/certproxy-bundle.pem",
	}
	settings := addSettings(cmd, "state", "listen")
	format := cmd.Flags().String("format", "sh", strings.Join(environment.Formats(), ", "))
	bundle := cmd.Flags().String("bundle", "", "file to write the system's CAs and the proxy's into, for the variables to name")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if !slices.Contains(environment.Formats(), *format) {
			return usageError{fmt.Errorf("--format %q is none of %s", *format, strings.Join(environment.Formats(), ", "))}
		}
		from, err := settings.sources(os.Environ())
		if err != nil {
			return err
		}
		o, err := from.look(cmd.ErrOrStderr(), "state", "listen")
		if err != nil {
			return err
		}
		url, addr, err := o.proxyURL()
		if err != nil {
			return err
		}
		dir, err := stateDir(o.State)
		if err != nil {
			return err
		}
		authority, err := ca.LoadCertificate(dir)
		if err != nil {
			return err
		}
		file, note, err := trustFile(dir, *bundle, authority)
		if err != nil {
			return err
		}
		variables := environment.Proxy(url)
		if *format != "docker" { // dockerd's file has no place for it
			variables = append(variables, environment.Trust(file)...)
		} else {
			note = "dockerd has to be told of the CA, too: certproxy trust install --store docker"
		}
		if err := environment.Write(cmd.OutOrStdout(), *format, variables); err != nil {
			return err
		}
		tell(cmd.ErrOrStderr(), note)
		tell(cmd.ErrOrStderr(), unanswered(cmd.Context(), addr))
		return nil
	}
	return cmd
}

// proxyURL returns what clients call the proxy that the configuration describes, by its
// first listener that they can reach over TCP, and where that is.
func (o options) proxyURL() (url, addr string, err error) {
	for i, text := range o.Listen {
		spec, err := listen.Parse(text)
		if err != nil {
			return "", "", refuse(config.Mistakes{o.origins.Of("", "listen", i).Mistake(err.Error())})
		}
		host, port, err := net.SplitHostPort(spec.Addr)
		if spec.Kind != listen.TCP || err != nil || port == "0" {
			continue
		}
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			host = "127.0.0.1" // it listens on all addresses, this one among them
		}
		scheme := "http"
		if spec.TLS {
			scheme = "https"
		}
		addr = net.JoinHostPort(host, port)
		return scheme + "://" + addr, addr, nil
	}
	return "", "", errors.New("no listener has an address that variables can name; say where the proxy listens with --listen HOST:PORT")
}

func tell(w io.Writer, note string) {
	if note != "" {
		_, _ = fmt.Fprintf(w, "certproxy: %s\n", note)
	}
}

// trustFile returns the file that clients shall trust, and what there is to say of it.
func trustFile(state, bundle string, authority *x509.Certificate) (file, note string, err error) {
	roots := environment.SystemRoots(os.Getenv)
	system := environment.SystemFile(os.Getenv)
	if bundle != "" {
		if file, err = filepath.Abs(bundle); err != nil {
			return "", "", err
		}
		if err := replaceFile(file, roots.With(authority).PEM()); err != nil {
			return "", "", fmt.Errorf("--bundle %s: %w; name a file in a directory that can be written", bundle, err)
		}
		return file, "", nil
	}
	if system != "" && roots.Contains(authority) {
		return system, "", nil
	}
	return filepath.Join(state, ca.CertFile), "clients that read these variables trust certproxy's CA alone, so hosts that are only tunnelled do not verify; " +
		"install the CA (certproxy trust install) or name a file for it and the system's (--bundle FILE)", nil
}

// replaceFile puts a whole file in place at once: clients may be reading the old one.
func replaceFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".certproxy-*")
	if err != nil {
		return bare(err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(0o644) // certificates are public
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(bare(err), os.Remove(f.Name()))
	}
	return nil
}

// bare strips the path from an error of the system.
func bare(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	if le, ok := errors.AsType[*os.LinkError](err); ok {
		return le.Err
	}
	return err
}

// unanswered says that no proxy is there, if so.
func unanswered(ctx context.Context, addr string) string {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return "no proxy answers on " + addr + "; start one (certproxy serve), or say where it listens (--listen HOST:PORT)"
	}
	_ = conn.Close()
	return ""
}
