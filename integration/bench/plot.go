package bench

import (
	"fmt"
	"html"
	"strings"
)

// Where things are in the plot, in pixels.
const (
	plotWidth = 1010
	rowHeight = 22
	barHeight = 18
)

// A scale says where the bars of one side begin, how long a ratio of 1 is, and from
// which ratio on a bar is cut.
type scale struct{ at, one, most float64 }

// scaleOf is the left side for what goes through, the right one for what that costs.
func scaleOf(f figure) scale {
	if f.against == ours {
		return scale{560, 70, 3}
	}
	return scale{100, 140, 1.9} // direct can be passed: it has to shake hands with the origin itself
}

// Both themes: it is shown as an image, which knows no style but its own.
const plotStyle = `
  rect.page { fill: #ffffff } text { fill: #1f2328; font: 13px system-ui, sans-serif }
  text.head { font-weight: 600 } text.dim { fill: #59636e } line { stroke: #d1d9e0 }
  rect.bar { fill: #a8b1bb } rect.certproxy { fill: #1f6feb }
  @media (prefers-color-scheme: dark) {
    rect.page { fill: #0d1117 } text { fill: #f0f6fc } text.dim { fill: #9198a1 } line { stroke: #3d444d }
    rect.bar { fill: #656c76 } rect.certproxy { fill: #4493f8 }
  }
`

// SVG is the result as bars: on the left what goes through, where direct is 1, on
// the right what the proxy takes for it, where certproxy is 1.
func (r *Result) SVG() string {
	d := &drawing{y: 24}
	d.text(100, "dim", "rate (longer is better; line: direct)")
	d.text(560, "dim", "taken by the proxy (shorter is better; line: certproxy)")
	for _, w := range r.workloads {
		d.y += 34
		d.text(16, "head", w.title)
		names := r.measured(w)
		for _, f := range w.figures {
			if s := scaleOf(f); f.against != "" {
				d.line(s.at+s.one, len(names)*rowHeight)
			}
		}
		for _, name := range names {
			d.y += rowHeight
			d.text(16, "", name)
			for _, f := range w.figures {
				if f.against != "" {
					d.bar(scaleOf(f), name, r.ratio(w, name, f), number(r.value(w, name, f))+" "+f.unit)
				}
			}
		}
	}
	d.y += 30
	d.text(16, "dim", r.Machine)
	height := d.y + 16
	return fmt.Sprintf("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\">\n"+
		"<title>certproxy against others</title>\n<style>%s</style>\n<rect class=\"page\" width=\"100%%\" height=\"100%%\"/>\n%s</svg>\n",
		plotWidth, height, plotWidth, height, plotStyle, d.String())
}

// A drawing is what has been drawn so far, and the base line of the current row.
type drawing struct {
	strings.Builder
	y int
}

func (d *drawing) text(x float64, class, s string) {
	fmt.Fprintf(d, "<text x=\"%.0f\" y=\"%d\" class=%q>%s</text>\n", x, d.y, class, html.EscapeString(s))
}

// line is drawn down from the current row, under what follows.
func (d *drawing) line(x float64, length int) {
	fmt.Fprintf(d, "<line x1=\"%.0f\" x2=\"%.0f\" y1=\"%d\" y2=\"%d\"/>\n", x, x, d.y+6, d.y+8+length)
}

// bar draws a ratio with its label, and nothing where there is no ratio. The label
// of a cut bar says how long it would be.
func (d *drawing) bar(s scale, class string, ratio float64, label string) {
	if ratio == 0 {
		return
	}
	if ratio > s.most {
		label = fmt.Sprintf("%s (x %s)", label, number(ratio))
	}
	length := min(ratio, s.most) * s.one
	fmt.Fprintf(d, "<rect class=\"bar %s\" x=\"%.0f\" y=\"%d\" width=\"%.0f\" height=\"%d\"/>\n", class, s.at, d.y-barHeight+5, length, barHeight)
	d.text(s.at+length+6, "", label)
}
