package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/certproxy/certproxy/internal/admin"
	"github.com/certproxy/certproxy/internal/config"
	"github.com/certproxy/certproxy/internal/listen"
	"github.com/certproxy/certproxy/internal/listing"
	"github.com/certproxy/certproxy/internal/metrics"
)

// statusWithin bounds the wait for a proxy's answer.
const statusWithin = 15 * time.Second

// shownRecent is how many of the last requests are printed.
const shownRecent = 10

func newStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use: "status", Short: "Show what a running proxy is doing", Args: noArgs,
		Long: "Ask a running proxy, by its admin listener, for what its status page shows: hosts,\n" +
			"pairs with their expiry and last outcome, problems, live numbers, recent requests.\n" +
			"It exits 1 when none answers.",
		Example: "  certproxy status\n  certproxy status --json | jq '.problems'",
	}
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	settings := addSettings(cmd, "admin")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		places, err := settings.adminPlaces(cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		raw, err := askStatus(cmd.Context(), places)
		if err != nil {
			return err
		}
		var s admin.Status
		if err := json.Unmarshal(raw, &s); err != nil {
			return fmt.Errorf("what answers there is no certproxy of this version: %w", err)
		}
		if *asJSON {
			var out json.RawMessage = raw
			enc := json.NewEncoder(cmd.OutOrStdout())
			enc.SetIndent("", "  ")
			enc.SetEscapeHTML(false)
			return enc.Encode(out)
		}
		return printStatus(cmd.OutOrStdout(), &s)
	}
	return cmd
}

// adminPlaces are where the configuration says that a proxy's admin listener is, else
// where it may be.
func (f *settingFlags) adminPlaces(warn io.Writer) ([]string, error) {
	from, err := f.sources(os.Environ())
	if err != nil {
		return nil, err
	}
	o, err := from.look(warn, "admin")
	if err != nil {
		return nil, err
	}
	switch o.Admin {
	case "":
		return usualAdminPlaces(os.Getenv, os.Geteuid()), nil
	case "off":
		return nil, errors.New("the admin listener is off, so there is nobody to ask; see admin in the configuration, or name a proxy's with --admin")
	}
	spec, err := parseAdmin(o.Admin, false)
	if err != nil {
		return nil, refuse(config.Mistakes{o.origins.Of("", "admin", 0).Mistake(err.Error())})
	}
	if spec.Kind == listen.Unix {
		return []string{"unix:" + spec.Addr}, nil
	}
	return []string{spec.Addr}, nil
}

// usualAdminPlaces are where a proxy's admin listener is by default: the user's own, then
// the machine's.
func usualAdminPlaces(getenv func(string) string, uid int) []string {
	own := defaultAdmin(getenv, uid)
	if own == "" || own == systemAdmin {
		return []string{systemAdmin}
	}
	return []string{own, systemAdmin}
}

// askStatus asks the first place where somebody listens.
func askStatus(ctx context.Context, places []string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, statusWithin)
	defer cancel()
	var first error
	for _, addr := range places {
		raw, err := askAdmin(ctx, addr, "/api/status")
		if err == nil {
			return raw, nil
		}
		if first == nil || errors.Is(first, fs.ErrNotExist) {
			first = err
		}
	}
	switch {
	case errors.Is(first, fs.ErrNotExist), errors.Is(first, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("no proxy answers at %s; start one with certproxy serve, or name its --admin", strings.Join(places, " or "))
	case errors.Is(first, fs.ErrPermission):
		return nil, fmt.Errorf("%w; run this as root, or start certproxy with --admin-user %d", first, os.Geteuid())
	}
	return nil, first
}

// askAdmin gets one of the admin listener's pages.
func askAdmin(ctx context.Context, addr, page string) ([]byte, error) {
	network, to := "tcp", addr
	if path, unix := strings.CutPrefix(addr, "unix:"); unix {
		network, to = "unix", path
	}
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, to)
		},
	}
	name := "localhost"
	if network == "tcp" {
		name = addr
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+name+page, nil)
	if err != nil {
		return nil, err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", addr, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", addr, err)
	}
	if resp.StatusCode != http.StatusOK {
		text, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
		return nil, fmt.Errorf("%s: %s: %s", addr, resp.Status, text)
	}
	return body, nil
}

// printStatus writes a status for people.
func printStatus(w io.Writer, s *admin.Status) error {
	var b strings.Builder
	state := "serving"
	if !s.Ready {
		state = "starting or stopping"
	}
	_, _ = fmt.Fprintf(&b, "certproxy %s, %s since %s\n", s.Version, state, s.Started.Local().Format(time.DateTime))
	for _, l := range s.Listeners {
		_, _ = fmt.Fprintf(&b, "listening      %s", l.Addr)
		if l.Forward != "" {
			_, _ = fmt.Fprintf(&b, " for %s", l.Forward)
		}
		b.WriteByte('\n')
	}
	_, _ = fmt.Fprintf(&b, "requests       %d, refused %d, in flight %d\n", s.Totals.Requests, s.Totals.Refused, s.Open.Requests)
	_, _ = fmt.Fprintf(&b, "connections    %d of clients, %d tunnels; to hosts %d active, %d idle\n",
		s.Open.Clients, s.Open.Tunnels, s.Open.UpstreamActive, s.Open.UpstreamIdle)
	_, _ = fmt.Fprintf(&b, "bytes          %s received, %s sent\n", admin.Bytes(s.Totals.BytesIn), admin.Bytes(s.Totals.BytesOut))
	_, _ = fmt.Fprintf(&b, "local CA       %s, until %s%s\n", orDash(s.CA.Subject), s.CA.NotAfter.UTC().Format(time.DateOnly), mark(s.CA.NotAfter, s.Time))
	if len(s.Hosts) == 0 {
		_, _ = fmt.Fprintf(&b, "\nno host has a directory in %s\n", strings.Join(s.Roots, ", "))
	}
	for _, h := range s.Hosts {
		_, _ = fmt.Fprintf(&b, "\n%s  %s  %s  requests: %d\n", h.Host, h.Action, h.Directory, h.Requests)
		for i, p := range h.Pairs {
			_, _ = fmt.Fprintf(&b, "  %d. %-12s %s, until %s%s, %s\n", i+1, p.Name, orDash(p.Subject), p.NotAfter.UTC().Format(time.DateOnly), mark(p.NotAfter, s.Time), lastOutcome(p.Last, s.Time))
		}
		if len(h.Pairs) == 0 {
			_, _ = fmt.Fprintf(&b, "  no pair, %s\n", lastOutcome(h.Last, s.Time))
		}
	}
	printProblems(&b, s.Problems)
	printRecent(&b, s.Recent)
	_, err := io.WriteString(w, b.String())
	return err
}

func mark(notAfter, now time.Time) string {
	switch admin.Expiry(notAfter, now) {
	case "expired":
		return " (EXPIRED)"
	case "soon":
		return fmt.Sprintf(" (in %d days)", admin.Days(notAfter.Sub(now)))
	}
	return ""
}

func lastOutcome(last *metrics.LastAttempt, now time.Time) string {
	if last == nil {
		return "not tried"
	}
	return fmt.Sprintf("last %s: %s, %s ago", last.Verdict, last.Outcome, now.Sub(last.At).Round(time.Second))
}

func printProblems(b *strings.Builder, problems []listing.Problem) {
	if len(problems) > 0 {
		_, _ = fmt.Fprintf(b, "\nproblems:\n")
	}
	for _, p := range problems {
		kind := "error"
		if p.Used {
			kind = "warning"
		}
		_, _ = fmt.Fprintf(b, "  %s: %s: %s", kind, p.Path, p.Problem)
		if p.Detail != "" {
			_, _ = fmt.Fprintf(b, ": %s", p.Detail)
		}
		_, _ = fmt.Fprintf(b, "\n    hint: %s\n", p.Hint)
	}
}

func printRecent(b *strings.Builder, recent []admin.Request) {
	if len(recent) > 0 {
		_, _ = fmt.Fprintf(b, "\nlast requests:\n")
	}
	for _, r := range recent[:min(len(recent), shownRecent)] {
		answer := r.Ending
		if r.Status != 0 {
			answer = fmt.Sprintf("%d %s", r.Status, r.Ending)
		}
		if r.Pair != "" {
			answer += " as " + r.Pair
		}
		_, _ = fmt.Fprintf(b, "  %s  %s %s%s  %s, %s", r.Time.Local().Format(time.TimeOnly), orDash(r.Method), orDash(r.Host), r.Path, answer, admin.Took(r.Seconds))
		if r.Reason != "" {
			_, _ = fmt.Fprintf(b, "\n    %s", r.Reason)
		}
		b.WriteByte('\n')
	}
}
