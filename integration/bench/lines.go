package bench

import (
	"fmt"
	"html"
	"slices"
	"strings"
)

// A Series is what was seen of one thing over time.
type Series struct {
	Name   string // with its unit
	At     []float64
	Values []float64
	From   float64 // what is before is warm-up
}

// Lines draws series over the same time, one below the other, each from zero.
func Lines(title, unit, caption string, all ...Series) string {
	const left, width, height = 100, 880, 110
	d := &drawing{y: 30}
	d.text(16, "head", title)
	for _, s := range all {
		most, last := slices.Max(s.Values), s.At[len(s.At)-1]
		d.y += 30
		d.text(left, "", fmt.Sprintf("%s: %s at the end, %s at most", s.Name, number(s.Values[len(s.Values)-1]), number(most)))
		d.y += 10
		points := make([]string, len(s.At))
		for i, at := range s.At {
			points[i] = fmt.Sprintf("%.1f,%.1f", left+width*at/last, float64(d.y)+height*(1-s.Values[i]/(most*1.05)))
		}
		fmt.Fprintf(d, "<rect class=\"bar\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" opacity=\"0.25\"/>\n", left, d.y, width*s.From/last, height)
		fmt.Fprintf(d, "<line x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>\n", left, left+width, d.y+height, d.y+height)
		fmt.Fprintf(d, "<polyline class=\"certproxy\" points=%q/>\n", strings.Join(points, " "))
		d.y += height
		d.text(left-16, "dim", "0")
		d.y += 14
		d.text(left+width-70, "dim", number(last)+" "+unit)
	}
	d.y += 24
	d.text(16, "dim", caption)
	return fmt.Sprintf("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\">\n"+
		"<title>%s</title>\n<style>%s%s</style>\n<rect class=\"page\" width=\"100%%\" height=\"100%%\"/>\n%s</svg>\n",
		plotWidth, d.y+16, plotWidth, d.y+16, html.EscapeString(title), plotStyle, lineStyle, d.String())
}

const lineStyle = `  polyline.certproxy { fill: none; stroke: #1f6feb; stroke-width: 1.5 }
  @media (prefers-color-scheme: dark) { polyline.certproxy { stroke: #4493f8 } }
`
