package admin

import (
	"bytes"
	"cmp"
	"html/template"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/certproxy/certproxy/certs"
	"github.com/certproxy/certproxy/internal/listing"
)

const (
	hostsPerPage = 100
	maxProblems  = 50 // shown; certproxy list has all
	maxRecent    = 50 // shown; /api/status has all
)

// A view is what the page is rendered from.
type view struct {
	*Status
	Query    string
	Sort     string // "" by name, or "expires"
	Page     int    // from 1
	Pages    int
	Matching int // hosts
	All      int // hosts
	Pairs    int // of all hosts
	Errors   int // problems that keep something from being used
	Warnings int // the others
	More     int // problems that are not shown
}

func (h *Handler) servePage(w http.ResponseWriter, r *http.Request) {
	v := h.view(r.URL.Query())
	var b bytes.Buffer
	if err := h.page.Execute(&b, v); err != nil {
		plain(w, http.StatusInternalServerError, "the page could not be made: "+err.Error())
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(b.Bytes())
}

func (h *Handler) view(query url.Values) *view {
	s, ix := h.status()
	v := &view{Status: s, Query: strings.TrimSpace(query.Get("q")), Sort: query.Get("sort")}
	hosts := ix.Hosts()
	v.All = len(hosts)
	for _, host := range hosts {
		v.Pairs += len(host.Pairs)
	}
	if v.Query != "" {
		hosts = slices.DeleteFunc(hosts, func(host *certs.Host) bool { return !matches(host, v.Query) })
	}
	if v.Sort == "expires" {
		slices.SortStableFunc(hosts, func(a, b *certs.Host) int { return cmp.Compare(ends(a), ends(b)) })
	} else {
		v.Sort = ""
	}
	v.Matching = len(hosts)
	v.Pages = max(1, (len(hosts)+hostsPerPage-1)/hostsPerPage)
	page, _ := strconv.Atoi(query.Get("page"))
	v.Page = min(max(page, 1), v.Pages)
	for _, host := range hosts[(v.Page-1)*hostsPerPage : min(v.Page*hostsPerPage, len(hosts))] {
		v.Hosts = append(v.Hosts, h.host(ix, host))
	}
	// Those that keep something from being used come first.
	slices.SortStableFunc(v.Problems, func(a, b listing.Problem) int {
		return cmp.Compare(map[bool]int{true: 1}[a.Used], map[bool]int{true: 1}[b.Used])
	})
	for _, p := range v.Problems {
		if !p.Used {
			v.Errors++
		}
	}
	v.Warnings = len(v.Problems) - v.Errors
	if v.More = max(0, len(v.Problems)-maxProblems); v.More > 0 {
		v.Problems = v.Problems[:maxProblems]
	}
	v.Recent = v.Recent[:min(len(v.Recent), maxRecent)]
	return v
}

// matches reports whether a host is one that is looked for: by its name, its directory, or
// a pair's name or common name.
func matches(h *certs.Host, query string) bool {
	has := func(s string) bool { return strings.Contains(strings.ToLower(s), strings.ToLower(query)) }
	return has(h.Name) || has(h.Dir) || slices.ContainsFunc(h.Pairs, func(p *certs.Pair) bool {
		return has(p.Name) || has(p.Leaf().Subject.CommonName)
	})
}

// ends is when the first pair of a host expires, in Unix seconds.
func ends(h *certs.Host) int64 {
	first := int64(math.MaxInt64)
	for _, p := range h.Pairs {
		first = min(first, p.Leaf().NotAfter.Unix())
	}
	return first
}

// Link returns the address of the page with one of its parameters changed.
func (v *view) Link(name, value string) template.URL {
	q := url.Values{}
	for k, old := range map[string]string{"q": v.Query, "sort": v.Sort} {
		if old != "" {
			q.Set(k, old)
		}
	}
	q.Set(name, value)
	if value == "" {
		q.Del(name)
	}
	return template.URL("/?" + q.Encode()) //nolint:gosec // encoded just now
}

// First and Last are the numbers of the hosts that are shown.
func (v *view) First() int { return min(v.Matching, (v.Page-1)*hostsPerPage+1) }

// Last is the number of the last host that is shown.
func (v *view) Last() int { return min(v.Matching, v.Page*hostsPerPage) }

// PagePrevious and PageNext are the numbers of the pages beside this one, or empty.
func (v *view) PagePrevious() string { return pageNumber(v.Page-1, v.Pages) }

// PageNext is the number of the next page, or empty.
func (v *view) PageNext() string { return pageNumber(v.Page+1, v.Pages) }

func pageNumber(n, pages int) string {
	if n < 1 || n > pages {
		return ""
	}
	return strconv.Itoa(n)
}

// words are the functions of the template.
func words(now func() time.Time) template.FuncMap {
	return template.FuncMap{
		"date":   func(t time.Time) string { return t.UTC().Format(time.DateOnly) },
		"clock":  func(t time.Time) string { return t.Local().Format(time.TimeOnly) },
		"stamp":  func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"left":   func(t time.Time) string { return left(t.Sub(now())) },
		"expiry": func(t time.Time) string { return Expiry(t, now()) },
		"ago":    func(t time.Time) string { return ago(now().Sub(t)) },
		"bytes":  Bytes[uint64],
		"size":   Bytes[int64],
		"count":  grouped[uint64],
		"number": grouped[int],
		"took":   Took,
		"base":   func(path string) string { return path[strings.LastIndexByte(path, '/')+1:] },
		"ok":     func(verdict string) bool { return verdict == "accepted" || verdict == "not asked" },
		"plural": plural,
	}
}
