package check

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// A Style is how a report looks. The zero value is plain text.
type Style struct {
	Marks   bool // in front of findings, for terminals
	Colours bool // by the escape sequences of ECMA-48
}

// Print writes the report for people: what is wrong first, then what was seen.
func (r *Report) Print(w io.Writer, style Style) error {
	p := &printer{Style: style}
	for _, f := range r.Findings {
		p.finding(f)
	}
	if len(r.Lookup) > 0 {
		p.head("directories looked at")
		for _, l := range r.Lookup {
			p.row(l.State, join(l.Path, l.Why, ": "))
		}
	}
	if r.Server != nil && r.Server.Address != "" {
		p.head("the server")
		p.server(r.Server)
	}
	if slices.ContainsFunc(r.Pairs, func(t Tried) bool { return t.Pair != "" }) {
		p.head("pairs, in the order they are tried")
		for i, t := range r.Pairs {
			used := ""
			if t.Used {
				used = "   <- clients get this"
			}
			p.row(fmt.Sprintf("%d. %s", i+1, t.Pair), t.Outcome+used)
			if t.Why != "" {
				p.row("", t.Why)
			}
			if c := t.Certificate; c != nil {
				p.row("", fmt.Sprintf("%s, issued by %s, until %s", orDash(c.Subject), orDash(c.Issuer), c.NotAfter.UTC().Format(time.DateOnly)))
			}
		}
	}
	if r.Answer != nil {
		p.head("the answer")
		p.line("  " + r.Answer.Status)
		for _, h := range r.Answer.Header {
			p.line("  " + h)
		}
		if r.Answer.Body != "" {
			p.line("")
			p.line("  " + r.Answer.Body)
		}
	}
	_, err := io.WriteString(w, p.b.String())
	return err
}

type printer struct {
	Style
	b strings.Builder
}

// finding writes a finding. A mark and a colour say the same as the word does.
func (p *printer) finding(f Finding) {
	mark, ansi := map[Level]string{Error: "✗", Warning: "!", Note: "i", OK: "✓"}[f.Level], map[Level]string{Error: "31", Warning: "33", Note: "36", OK: "32"}[f.Level]
	head := string(f.Level) + ":"
	if p.Marks {
		head = mark + " " + head
	}
	if p.Colours {
		head = "\x1b[" + ansi + "m" + head + "\x1b[0m"
	}
	about := f.About
	if strings.HasPrefix(f.Text, about) {
		about = "" // named once
	}
	p.line(head + " " + join(about, f.Text, ": "))
	for i, line := range strings.Split(f.Fix, "\n") {
		switch {
		case f.Fix == "":
		case i == 0:
			p.line("  fix: " + line)
		default:
			p.line("       " + line)
		}
	}
	if f.Advice != "" {
		p.line("  hint: " + f.Advice)
	}
}

func (p *printer) server(s *Server) {
	p.row("address", s.Address)
	if s.Through != "" {
		p.row("through", s.Through)
	}
	p.row("TLS", strings.TrimSuffix(join(s.TLSVersion, s.Cipher, ", "), ", "))
	for i, c := range s.Chain {
		of := ""
		if len(c.Names) > 0 {
			of = ", for " + some(c.Names, "and")
		}
		p.row(fmt.Sprintf("chain %d", i+1), fmt.Sprintf("%s, issued by %s, until %s%s", orDash(c.Subject), orDash(c.Issuer), c.NotAfter.UTC().Format(time.DateOnly), of))
	}
	if s.VerifiedBy != "" {
		p.row("verified", "with "+s.VerifiedBy+" from "+s.VerifiedFrom)
	}
	switch {
	case s.Asked == nil:
	case !*s.Asked:
		p.row("asks", "for no client certificate")
	case len(s.AcceptableCAs) == 0:
		p.row("asks", "for a client certificate of any CA")
	default:
		p.row("asks", "for a client certificate of "+some(s.AcceptableCAs, "or"))
	}
}

func (p *printer) head(s string) {
	if p.Colours {
		s = "\x1b[1m" + s + "\x1b[0m"
	}
	p.line("")
	p.line(s)
}

func (p *printer) row(name, value string) { p.line(fmt.Sprintf("  %-10s %s", name, value)) }

func (p *printer) line(s string) { p.b.WriteString(strings.TrimRight(s, " ") + "\n") }

// join puts two texts together, if both are there.
func join(a, b, with string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + with + b
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
