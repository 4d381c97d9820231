package report

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/turngate/turngate/harness/measure"
	"github.com/turngate/turngate/harness/report/chart"
)

// A panel is a chart over time of rows that belong together.
type panel struct {
	heading, unit string
	scale         float64
	names         []string // of rows; the first is drawn on top
	labels        []string
	limit         string // row with the most that can be
}

// ofParts tells that its lines are of the parts of a merged record.
func (p panel) ofParts() bool { part, _ := partOf(p.names[0]); return part != "" }

// lineClasses are those of a panel's lines.
var lineClasses = []string{"three", "other", "four", "two", "one"}

// panels are those whose rows are known. Others get one each.
var panels = []panel{
	{"Calls", "calls", 1, []string{"calls", "opening"}, []string{"up", "opening"}, ""},
	{"Packets received", "packets/s", 1, []string{"received_pps"}, []string{"received"}, ""},
	{"CPU of the proxy", "cores", 1, []string{"proc.cpu_cores", "proc.helpers_cpu_cores"}, []string{"proxy", "helpers"}, ""},
	{"Descriptors of the proxy", "descriptors", 1, []string{"proc.fds"}, []string{"open"}, "proc.fd_limit"},
	{"Memory of the proxy", "MB", 1e-6, []string{"proc.rss_bytes"}, []string{"resident"}, ""},
}

// families are the sources of rows, by the beginnings of their names.
var families = []struct{ prefix, words string }{
	{"proc.", "process"}, {"squid.", "Squid"}, {"snmp.", "SNMP"}, {"tcp.", "our sockets"}, {"node.", "node exporter"}, {"prom.", "Prometheus"}, {"gen.", "generator"},
}

// rowWords names a row that no panel knows: "Squid: fds in use".
func rowWords(name string) string {
	if part, base := partOf(name); part != "" {
		return rowWords(base) + ", " + part + ":"
	}
	for _, f := range families {
		if rest, ok := strings.CutPrefix(name, f.prefix); ok {
			return capital(f.words) + ": " + strings.ReplaceAll(rest, "_", " ")
		}
	}
	return capital(strings.ReplaceAll(name, "_", " "))
}

// proxySection shows the proxy beside the load, on one time axis.
func proxySection(r measure.Record) section {
	if len(r.Rows) < 3 {
		return section{}
	}
	s := section{Heading: "The proxy and the load, over time", Lead: "Everything on one time axis, once a second. The shaded stretches are the steps; point at one for its name."}
	known := map[string]bool{"lost": !varies(r.Rows, "lost")}
	for _, p := range panels {
		if d, ok := timeChart(r, p); ok {
			s.Charts = append(s.Charts, d)
		}
		for _, n := range append(p.names, p.limit) {
			known[n] = true
		}
	}
	var still []string
	parts := make(map[string][]string) // of a merged record: the names of each value, in order
	var order []string
	for _, name := range rowNames(r.Rows) {
		if known[name] {
			continue
		}
		if !varies(r.Rows, name) {
			still = append(still, fmt.Sprintf("%s %s", rowWords(name), figure(name, last(r.Rows, name))))
			continue
		}
		_, base := partOf(name)
		if parts[base] = append(parts[base], name); len(parts[base]) == 1 {
			order = append(order, base)
		}
	}
	for _, base := range order {
		for names := range slices.Chunk(parts[base], len(lineClasses)) {
			if d, ok := timeChart(r, byParts(base, names)); ok {
				s.Charts = append(s.Charts, d)
			}
		}
	}
	if len(still) > 0 {
		s.Items = []string{"Did not change: " + strings.Join(still, ", ") + "."}
	}
	return s
}

// partOf parts a name of a merged record from its part's: "part 1/2: tcp.rtt_ms_mean".
func partOf(name string) (part, base string) {
	if part, base, has := strings.Cut(name, ": "); has && strings.HasPrefix(part, "part ") {
		return part, base
	}
	return "", name
}

// byParts is the panel of a value that no panel knows, a line for each part that has it.
func byParts(base string, names []string) panel {
	p := lone(base)
	p.names, p.labels = names, nil
	for _, name := range names {
		part, _ := partOf(name)
		p.labels = append(p.labels, part)
	}
	return p
}

// lone is the panel of a row that none knows, with the unit that its name ends in.
func lone(name string) panel {
	p := panel{heading: rowWords(name), names: []string{name}, labels: []string{""}, scale: 1}
	for _, u := range []struct {
		suffix, unit string
		scale        float64
	}{{"_bytes", "MB", 1e-6}, {"_share", "%", 100}, {"_ms", "ms", 1}, {"_seconds", "s", 1}, {"_cores", "cores", 1}, {"_pps", "packets/s", 1}, {"_mbps", "Mbit/s", 1}, {"_per_s", "per second", 1}} {
		if strings.HasSuffix(name, u.suffix) {
			p.unit, p.scale = u.unit, u.scale
		}
	}
	return p
}

func rowNames(rows []measure.Row) []string {
	all := make(map[string]bool)
	for _, r := range rows {
		for k := range r.Values {
			all[k] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

func varies(rows []measure.Row, name string) bool {
	first, seen := 0.0, false
	for _, r := range rows {
		v, known := r.Values[name]
		if known && seen && v != first {
			return true
		}
		if known && !seen {
			first, seen = v, true
		}
	}
	return false
}

func last(rows []measure.Row, name string) (v float64) {
	for _, r := range rows {
		if got, known := r.Values[name]; known {
			v = got
		}
	}
	return v
}

func timeChart(r measure.Record, p panel) (drawing, bool) {
	x, scale := timeAxis(r)
	c := chart.Chart{Label: p.heading + " over time", X: x, Y: chart.Axis{Label: p.unit}, Bands: bands(r, scale), Height: 170}
	var legend []swatch
	for i := len(p.names) - 1; i >= 0; i-- {
		points := overTime(r.Rows, p.names[i], p.scale, scale)
		if len(points) == 0 {
			continue
		}
		c.Series = append(c.Series, chart.Series{Class: lineClasses[i], Points: points, Filled: i == 0 && !p.ofParts(), Width: 1.3, Title: p.heading + " " + p.labels[i]})
		legend = append([]swatch{{lineClasses[i], p.labels[i]}}, legend...)
	}
	if len(c.Series) == 0 {
		return drawing{}, false
	}
	if len(c.Series) == 1 && !p.ofParts() {
		legend = nil
	}
	d := draw(p.heading, c, legend...)
	if top, known := highest(r.Rows, p.limit), p.limit != ""; known && top > 0 {
		d.Note = fmt.Sprintf("At most %s of %s.", plain(highest(r.Rows, p.names[0])), plain(top))
	}
	return d, true
}

func highest(rows []measure.Row, name string) (top float64) {
	for _, r := range rows {
		top = max(top, r.Values[name])
	}
	return top
}

// mostPoints is how many a line has at most; more of them no reader could tell apart.
const mostPoints = 400

// overTime is a row's line. Of a long run it keeps the lowest and the highest of each stretch.
func overTime(rows []measure.Row, name string, times, scale float64) (points []chart.Point) {
	var all []chart.Point
	for _, r := range rows {
		if v, known := r.Values[name]; known {
			all = append(all, chart.Point{X: r.At / scale, Y: v * times})
		}
	}
	if len(all) <= mostPoints {
		return all
	}
	n := (2*len(all) + mostPoints - 1) / mostPoints
	for stretch := range slices.Chunk(all, n) {
		low, high := stretch[0], stretch[0]
		for _, p := range stretch {
			if p.Y < low.Y {
				low = p
			}
			if p.Y > high.Y {
				high = p
			}
		}
		if high.X < low.X {
			low, high = high, low
		}
		points = append(points, low)
		if high.X > low.X {
			points = append(points, high)
		}
	}
	return points
}

// timeAxis is in seconds, minutes or hours; scale is how many seconds its unit has.
func timeAxis(r measure.Record) (a chart.Axis, scale float64) {
	end := r.Seconds
	for _, s := range r.Steps {
		end = math.Max(end, s.Start+s.Seconds)
	}
	a, scale = chart.Axis{Label: "seconds"}, 1
	switch {
	case end > 3*3600:
		a.Label, scale = "hours", 3600
	case end > 600:
		a.Label, scale = "minutes", 60
	}
	a.Min, a.Max = chart.F(0), chart.F(end/scale)
	return a, scale
}

// bands are the steps.
func bands(r measure.Record, scale float64) (list []chart.Band) {
	for _, s := range r.Steps {
		list = append(list, chart.Band{From: s.Start / scale, To: (s.Start + s.Seconds) / scale, Class: "band", Title: fmt.Sprintf("%s (%s)", s.Name, s.Verdict)})
	}
	return list
}
