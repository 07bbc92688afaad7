package integration

import (
	"bytes"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/certproxy/certproxy/integration/rig"
	"github.com/certproxy/certproxy/internal/throwaway"
)

// How docs/status-light.png and docs/status-dark.png are made:
//
//	go test -run TestStatusPageInABrowser . -status.out=../docs
var statusOut = flag.String("status.out", "", "the `directory` that takes pictures of the status page")

// documented is the width of those pictures.
const documented = 1200

// small encodes a picture with the 256 colours that it has most of: a page of text has
// few, and many between them that nobody tells apart.
func small(t *testing.T, picture []byte) []byte {
	t.Helper()
	full, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	often := map[color.Color]int{}
	for y := range full.Bounds().Dy() {
		for x := range full.Bounds().Dx() {
			often[full.At(x, y)]++
		}
	}
	colors := slices.SortedFunc(maps.Keys(often), func(a, b color.Color) int { return often[b] - often[a] })
	paletted := image.NewPaletted(full.Bounds(), colors[:min(256, len(colors))])
	draw.Draw(paletted, full.Bounds(), full, image.Point{}, draw.Src)
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, paletted); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// contrasts returns the texts whose contrast is below what WCAG 2.2 has for AA (1.4.3).
const contrasts = `(() => {
	const rgb = (s) => s.match(/[\d.]+/g).map(Number);
	const light = ([r, g, b]) => [r, g, b].map((c) => (c /= 255) <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4).reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
	const ground = (el) => { for (; el; el = el.parentElement) { const c = rgb(getComputedStyle(el).backgroundColor); if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; };
	const bad = new Set(), texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (texts.nextNode()) {
		const el = texts.currentNode.parentElement, text = texts.currentNode.textContent.trim();
		if (!text || !el.checkVisibility()) continue;
		const a = light(rgb(getComputedStyle(el).color)), b = light(ground(el));
		const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
		if (ratio < 4.5) bad.add(ratio.toFixed(2) + " " + text.slice(0, 40));
	}
	return [...bad];
})()`

// Chromium shows hosts, problems and expiry, live, in light and dark, wide and narrow.
func TestStatusPageInABrowser(t *testing.T) {
	names := []string{"registry.corp.example", "harbor.corp.example", "git.corp.example"}
	id := rig.NewIdentities(t, names...)
	s := rig.NginxStatuses(t, id)
	srv := rig.Dir(t)
	certs := filepath.Join(srv, "certs.d")
	days := func(n int) throwaway.Options {
		return throwaway.Options{NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(0, 0, n)}
	}
	pair := func(host, file, subject string, end int) {
		o := days(end)
		o.Name = subject
		dir := filepath.Join(certs, host)
		id.CA.WriteRoot(dir, "ca")
		id.CA.Issue(o).WritePair(dir, file)
	}
	registry, git := fmt.Sprintf("%s:%d", names[0], s.Port), fmt.Sprintf("%s:%d", names[2], s.Port)
	pair(registry, "10-build", "pair-a", 212)
	pair(registry, "20-deploy", "pair-d", 23)
	pair(git, "robot", "pair-d", 340)
	pair("harbor.corp.example", "ci", "pair-b", -6)
	pair("harbor.corp.example", "ci-2027", "pair-b", 358)
	pair("legacy.corp.example:5000", "client", "pair-c", 120)
	if err := os.Remove(filepath.Join(certs, "legacy.corp.example:5000", "client.key")); err != nil {
		t.Fatal(err)
	}
	// Its directories are at /srv, and the machine has a name, for it alone: both are in pictures.
	proxy := rig.Serve(t, rig.Options{
		Certs: "/srv/certs.d", Names: names, Args: []string{"--admin", "127.0.0.1:0"},
		Under: []string{"unshare", "--uts", "sh", "-c", `hostname build-7 && mount --bind "$0" /srv && exec "$@"`, srv},
	})
	origin := "http://" + proxy.WaitLine(t, "admin listener", func(rig.Line) bool { return true }).Text("addr")
	for _, path := range []string{"/v2/", "/v2/library/app/manifests/1.4", "/v2/library/app/blobs/9f2c", "/v2/library/app/blobs/41d0"} {
		if got := (rig.Curl{Proxy: proxy}).Do(t, "https://"+registry+path+"?token=hidden"); got.Status != 200 {
			t.Fatalf("through certproxy: %v", got)
		}
	}
	for _, url := range []string{"https://" + git + "/corp/app.git/info/refs?service=hidden", "https://legacy.corp.example:5000/v2/"} {
		rig.Curl{Proxy: proxy}.Do(t, url)
	}

	b := rig.NewBrowser(t)
	b.Look(1440, 900, "light")
	b.Do(chromedp.Navigate(origin + "/"))
	b.Wait("the live numbers", `document.getElementById("live").textContent === "Live"`)
	text := rig.Eval[string](b, `document.body.innerText`)
	for _, want := range []string{registry, "10-build", "refused 403", "accepted 200", "expired 6 days ago", "in 23 days", "certificate without a key", "put the key into /srv/certs.d/legacy.corp.example:5000/client.key",
		"no usable pair", "/v2/library/app/manifests/1.4", "1 error, 1 warning"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not show %q", want)
		}
	}
	if strings.Contains(text, "hidden") || strings.Contains(text, "BEGIN") {
		t.Error("the page shows a query or a key")
	}
	if got := rig.Eval[int](b, `document.querySelectorAll("td.expired").length * 10 + document.querySelectorAll("td.soon").length`); got != 11 {
		t.Errorf("%d pairs are marked as expired and %d as expiring soon; want one each", got/10, got%10)
	}

	t.Run("wide and narrow, light and dark", func(t *testing.T) {
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int64{390, 820, documented, 1440} {
				b.Look(width, 900, scheme)
				if over := rig.Eval[int64](b, `document.documentElement.scrollWidth`); over > width {
					t.Errorf("at %d, the page is %d wide", width, over)
				}
				if bad := rig.Eval[[]string](b, contrasts); len(bad) > 0 {
					t.Errorf("%s, at %d: contrast below 4.5: %q", scheme, width, bad)
				}
				name, picture := fmt.Sprintf("status-%s-%d.png", scheme, width), rig.Get(b, chromedp.FullScreenshot(100)) // 100 is PNG
				if width == documented {
					name, picture = "status-"+scheme+".png", small(t, picture)
					if len(picture) > 200<<10 {
						t.Errorf("%s has %d bytes", name, len(picture))
					}
				}
				if *statusOut != "" && (width == documented || filepath.Base(*statusOut) != "docs") {
					rig.Write(t, *statusOut, name, picture, 0o644)
				}
			}
		}
	})

	t.Run("a reload appears", func(t *testing.T) {
		rig.Eval[bool](b, `window.same = true`)
		pair("new.corp.example", "client", "pair-d", 100)
		took := b.Wait("the new host", `document.getElementById("list").innerText.includes("new.corp.example:443")`)
		t.Logf("a new host was shown after %v", took.Round(time.Millisecond))
		if err := os.RemoveAll(filepath.Join(certs, "legacy.corp.example:5000")); err != nil {
			t.Fatal(err)
		}
		b.Wait("the end of the error", `!document.getElementById("problems").innerText.includes("without a key")`)
		before := rig.Eval[string](b, `document.querySelector("[data-live='totals.requests']").textContent`)
		rig.Curl{Proxy: proxy}.Do(t, "https://"+registry+"/v2/again")
		b.Wait("the request", `document.getElementById("recent").innerText.includes("/v2/again")`)
		if after := rig.Eval[string](b, `document.querySelector("[data-live='totals.requests']").textContent`); after == before {
			t.Errorf("the number of requests stays %s", after)
		}
		if !rig.Eval[bool](b, `window.same === true`) {
			t.Error("the page was loaded anew")
		}
	})

	t.Run("by keyboard", func(t *testing.T) {
		rig.Eval[bool](b, `document.activeElement.blur(), true`)
		b.Type("/")
		// The protocol gives a character even where the page has taken its key.
		if !rig.Eval[bool](b, `document.getElementById("q").value = "", document.activeElement.id === "q"`) {
			t.Error("/ does not lead to the search")
		}
		b.Type("git")
		b.Wait("the hosts found", `document.getElementById("list").innerText.includes("1 host matches") && !document.getElementById("list").innerText.includes("registry")`)
		if q := rig.Eval[string](b, `location.search`); q != "?q=git" {
			t.Errorf("the address has %q", q)
		}
		rig.Eval[bool](b, `document.querySelector(".skip").focus(), true`)
		b.Type(kb.Enter)
		if at := rig.Eval[string](b, `document.activeElement.id`); at != "hosts" {
			t.Errorf("the skip link leads to %q", at)
		}
		if n := rig.Eval[int](b, `[...document.querySelectorAll("input:not([type=hidden])")].filter((i) => !i.labels.length).length`); n != 0 {
			t.Errorf("%d fields have no label", n)
		}
	})

	if got := b.Complaints(); len(got) > 0 {
		t.Errorf("on the console: %q", got)
	}
	if got := b.Strangers(origin); len(got) > 0 {
		t.Errorf("requests to others: %q", got)
	}

	t.Run("without JavaScript", func(t *testing.T) {
		rig.Call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		b.Do(chromedp.Navigate(origin+"/"), chromedp.SendKeys(chromedp.CSS("#q"), "harbor"), chromedp.Click(chromedp.CSS("form button")))
		b.Do(chromedp.Query(`//p[contains(., "1 host matches")]`, chromedp.NodeVisible))
	})
}

// 2,000 hosts stay searchable and fast.
func TestStatusPageOfTwoThousandHosts(t *testing.T) {
	certs := rig.Dir(t)
	pair := throwaway.NewCA("corp CA").Issue(throwaway.Options{Name: "robot", NotAfter: time.Now().AddDate(1, 0, 0)})
	for i := range 2000 {
		pair.WritePair(filepath.Join(certs, fmt.Sprintf("registry-%04d.corp.example", i)), "client")
	}
	proxy := rig.Serve(t, rig.Options{Certs: certs, Args: []string{"--admin", "127.0.0.1:0"}})
	origin := "http://" + proxy.WaitLine(t, "admin listener", func(rig.Line) bool { return true }).Text("addr")
	b := rig.NewBrowser(t)
	b.Look(1440, 900, "light")
	began := time.Now()
	b.Do(chromedp.Navigate(origin + "/"))
	loaded := time.Since(began)
	shown := rig.Eval[int](b, `document.querySelectorAll(".hosts tbody").length`)
	b.Do(chromedp.Focus(chromedp.CSS("#q")), chromedp.KeyEvent("1987"))
	found := b.Wait("the host found", `document.querySelectorAll(".hosts tbody").length === 1 && document.querySelector(".hosts .name").textContent === "registry-1987.corp.example:443"`)
	t.Logf("loaded in %v with %d hosts shown, found after %v", loaded.Round(time.Millisecond), shown, found.Round(time.Millisecond))
	if shown != 100 || loaded > 3*time.Second || found > 2*time.Second {
		t.Errorf("%d hosts shown, loaded in %v, found after %v", shown, loaded, found)
	}
	rig.Eval[bool](b, `document.getElementById("q").value = "", document.getElementById("q").dispatchEvent(new Event("input"))`)
	b.Wait("all hosts", `document.querySelectorAll(".hosts tbody").length === 100`)
	b.Do(chromedp.Click(chromedp.CSS("#next")), chromedp.Query(chromedp.CSS("#previous"), chromedp.NodeVisible))
	if first := rig.Eval[string](b, `document.querySelector(".hosts .name").textContent`); first != "registry-0100.corp.example:443" {
		t.Errorf("the second page begins with %s", first)
	}
	if got := append(b.Complaints(), b.Strangers(origin)...); len(got) > 0 {
		t.Errorf("on the console, or asked of others: %q", got)
	}
}
