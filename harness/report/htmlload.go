package report

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"

	"github.com/turngate/turngate/harness/measure"
	"github.com/turngate/turngate/harness/report/chart"
)

func draw(heading string, c chart.Chart, legend ...swatch) drawing {
	return drawing{Heading: heading, SVG: template.HTML(c.SVG()), Legend: legend}
}

// An abscissa is what steps differ in: that of a step, and whether the step has it.
type abscissa struct {
	label string
	of    func(measure.Step) (float64, bool)
}

var (
	calls = abscissa{"calls", func(s measure.Step) (float64, bool) {
		return float64(s.Calls), !s.Direct && s.Kind != "model" && s.Figures[offeredTunnels] == 0
	}}
	tunnelsPerSecond = abscissa{"tunnels per second", func(s measure.Step) (float64, bool) {
		offered := s.Figures[offeredTunnels]
		return offered, offered > 0 && s.Kind == "search"
	}}
)

// offeredTunnels is the figure of a step that opens tunnels by the clock.
const offeredTunnels = "offered_tunnels_per_s"

// by draws a figure of the steps.
func by(x abscissa, r measure.Record, metric string) (drawing, bool) {
	times, unit := 1.0, "ms"
	if strings.HasSuffix(metric, "_share") {
		times, unit = 100, "%"
	}
	s := chart.Series{Class: "three", Dots: 3.6}
	for _, step := range r.Steps {
		at, has := x.of(step)
		if v, known := step.Figures[metric]; known && has {
			s.Points = append(s.Points, chart.Point{X: at, Y: v * times, Class: string(step.Verdict),
				Title: fmt.Sprintf("%s: %s, %s", step.Name, figure(metric, v), step.Verdict)})
		}
	}
	slices.SortStableFunc(s.Points, func(a, b chart.Point) int { return cmp.Compare(a.X, b.X) })
	words := wordsFor(r, metric)
	c := chart.Chart{Label: words + " by " + x.label, X: chart.Axis{Label: x.label, Min: chart.F(0)}, Y: chart.Axis{Label: unit}, Series: []chart.Series{s}}
	limit(r, metric, times, &c)
	return draw(capital(words)+", by "+x.label, c, verdictLegend(r.Steps)...), top(s) > 0
}

// limit adds an objective's line, unless that would press the data flat.
func limit(r measure.Record, metric string, times float64, c *chart.Chart) {
	for _, o := range r.Objectives {
		if o.Metric == metric && o.Limit*times < 8*top(c.Series...) {
			c.Limits = append(c.Limits, chart.Limit{Y: o.Limit * times, Title: fmt.Sprintf("objective: %s (%s)", want(o), o.Source)})
		}
	}
}

// top is the largest value.
func top(list ...chart.Series) (most float64) {
	for _, s := range list {
		for _, p := range s.Points {
			most = max(most, p.Y)
		}
	}
	return most
}

func verdictLegend(steps []measure.Step) (list []swatch) {
	for _, v := range []measure.Verdict{measure.Pass, measure.Fail, measure.Void} {
		if slices.ContainsFunc(steps, func(s measure.Step) bool { return !s.Direct && s.Kind != "model" && s.Verdict == v }) {
			list = append(list, swatch{string(v), string(v)})
		}
	}
	return list
}

func coresByCalls(r measure.Record) (drawing, bool) {
	all, helpers := chart.Series{Class: "three", Dots: 3}, chart.Series{Class: "other", Dots: 3}
	for _, s := range r.Steps {
		own, known := s.Figures["mean_proc.cpu_cores"]
		n, has := calls.of(s)
		if !known || !has {
			continue
		}
		h := s.Figures["mean_proc.helpers_cpu_cores"]
		all.Points = append(all.Points, chart.Point{X: n, Y: own + h, Title: fmt.Sprintf("%s: %.2f cores, helpers included", s.Name, own+h)})
		helpers.Points = append(helpers.Points, chart.Point{X: n, Y: h, Title: fmt.Sprintf("%s: %.2f cores in helpers", s.Name, h)})
	}
	for _, s := range []*chart.Series{&all, &helpers} {
		slices.SortStableFunc(s.Points, func(a, b chart.Point) int { return cmp.Compare(a.X, b.X) })
	}
	c := chart.Chart{Label: "cores used by the proxy, by number of calls", X: chart.Axis{Label: "calls", Min: chart.F(0)}, Y: chart.Axis{Label: "cores"}, Series: []chart.Series{helpers, all}}
	return draw("CPU of the proxy", c, swatch{"three", "with helpers"}, swatch{"other", "helpers alone"}), len(all.Points) > 1
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// shades are the classes for steps with more and more calls.
var shades = []string{"one", "two", "three", "four"}

// compared are the steps to lay over each other: the baseline, and up to four through the proxy, of
// different calls.
func compared(steps []measure.Step) (direct *measure.Step, proxied []*measure.Step) {
	seen := make(map[int]bool)
	for i := range steps {
		switch s := &steps[i]; {
		case s.Up.Delay.Count()+s.Down.Delay.Count() == 0 || s.Kind == "model" || s.Calls == 0:
		case s.Direct:
			direct = s
		case !seen[s.Calls]:
			seen[s.Calls] = true
			proxied = append(proxied, s)
		}
	}
	slices.SortStableFunc(proxied, func(a, b *measure.Step) int { return cmp.Compare(a.Calls, b.Calls) })
	if n := len(proxied); n > len(shades) {
		last := proxied[n-1]
		few := make([]*measure.Step, 0, len(shades))
		for i := range len(shades) - 1 {
			few = append(few, proxied[i*(n-1)/(len(shades)-1)])
		}
		proxied = append(few, last)
	}
	return direct, proxied
}

// shade is that of the i-th of n: the darkest for the last.
func shade(i, n int) string { return shades[len(shades)-n+i] }

func delaySection(r measure.Record) section {
	direct, proxied := compared(r.Steps)
	if len(proxied) == 0 {
		return section{}
	}
	s := section{Heading: "Delay, direct beside proxied",
		Lead: "One-way delay of every packet, from when it was due. Each nine of the percentile is as wide as the one before, so that the rare bad ones show."}
	if halved(r) {
		s.Lead = "Half of the way of every packet to an echo peer and back (RTT/2), from when it was due. Each nine of the percentile is as wide as the one before, so that the rare bad ones show."
	}
	for _, up := range []bool{true, false} {
		if d, ok := percentiles(direct, proxied, up); ok {
			if halved(r) {
				d.Heading = "RTT/2: through the proxy, to the echo peer and back"
			}
			s.Charts = append(s.Charts, d)
		}
	}
	return s
}

func percentiles(direct *measure.Step, proxied []*measure.Step, up bool) (drawing, bool) {
	c := chart.Chart{Label: "delay by percentile, " + way(up), X: chart.Percentiles(), Y: chart.Axis{Label: "ms", Log: true}, Height: 260}
	var legend []swatch
	add := func(s *measure.Step, class, name string) {
		flow := s.Down
		if up {
			flow = s.Up
		}
		if flow.Delay == nil || flow.Delay.Count() == 0 {
			return
		}
		points := quantileLine(flow.Delay)
		sum := flow.Delay.Summary()
		c.Series = append(c.Series, chart.Series{Class: class, Points: points, Dashed: class == "direct",
			Title: fmt.Sprintf("%s: p50 %s, p95 %s, p99 %s, largest %s", name, milliseconds(sum.P50), milliseconds(sum.P95), milliseconds(sum.P99), milliseconds(sum.Max))})
		legend = append(legend, swatch{class, name})
	}
	if direct != nil {
		add(direct, "direct", "direct")
	}
	for i, s := range proxied {
		add(s, shade(i, len(proxied)), plural(s.Calls, "call")+voidMark(s.Verdict))
	}
	head := "Down: from the far end through the proxy"
	if up {
		head = "Up: through the proxy to the far end"
	}
	return draw(head, c, legend...), len(c.Series) > 0
}

func voidMark(v measure.Verdict) string {
	if v == measure.Pass || v == "" {
		return ""
	}
	return " (" + string(v) + ")"
}

// quantileLine goes from the median's left to the last packet but one.
func quantileLine(l *measure.Latency) (points []chart.Point) {
	end := math.Log10(float64(max(10, l.Count())))
	for x := 0.0; x <= end; x += 0.02 {
		share := 1 - math.Pow(10, -x)
		points = append(points, chart.Point{X: x, Y: max(0.01, l.Milliseconds(share))})
	}
	return points
}

// flows are those of a step that have figures of their own.
func flows(r measure.Record, s measure.Step) []measure.Flow {
	if halved(r) {
		return []measure.Flow{s.Up}
	}
	return []measure.Flow{s.Up, s.Down}
}

// lateSection shows what came too late to be played, by deadline and over time.
func lateSection(r measure.Record) section {
	head := []string{"step", "#up: later than 60 ms", "#100 ms", "#150 ms", "#200 ms", "#down: later than 60 ms", "#100 ms", "#150 ms", "#200 ms", "#packets"}
	if halved(r) {
		head = []string{"step", "#both ways together: later than 60 ms", "#100 ms", "#150 ms", "#200 ms", "#packets"}
	}
	t := table{Head: heads(head...)}
	for _, s := range r.Steps {
		if s.Kind == "model" || s.Up.Scheduled+s.Down.Scheduled == 0 {
			continue
		}
		line := []cell{text(s.Name)}
		for _, flow := range flows(r, s) {
			for _, ms := range []int{60, 100, 150, 200} {
				line = append(line, num(lateAt(flow.Late, ms)))
			}
		}
		t.Rows = append(t.Rows, append(line, num(fmt.Sprint(s.Up.Scheduled+s.Down.Scheduled))))
	}
	if len(t.Rows) == 0 {
		return section{}
	}
	s := section{Heading: "Late loss", Tables: []table{t}, Charts: windowCharts(r),
		Lead: "TCP loses nothing; it delivers late. A packet that comes later than a jitter buffer waits, counted from the fastest one of its stream, is as good as lost. One that never came counts as well."}
	if halved(r) {
		s.Lead += " Between the TURN server and the echo peer it is UDP, which may lose: that counts here, too."
	}
	return s
}

// windowCharts show the quality windows over the run.
func windowCharts(r measure.Record) []drawing {
	late, delay := chart.Series{Class: "three", Width: -1, Dots: 3}, chart.Series{Class: "three", Width: -1, Dots: 3}
	for _, s := range r.Steps {
		for _, w := range s.Windows {
			at, class := s.Start+w.Start+w.Seconds/2, "pass"
			if w.Passed < w.Calls {
				class = "fail"
			}
			if s.Direct {
				class = "direct"
			}
			text := fmt.Sprintf("%s: %d of %d calls were good, %s late, p95 %s", s.Name, w.Passed, w.Calls, percent(w.Late100), milliseconds(w.Delay95))
			late.Points = append(late.Points, chart.Point{X: at, Y: 100 * w.Late100, Class: class, Title: text})
			delay.Points = append(delay.Points, chart.Point{X: at, Y: w.Delay95, Class: class, Title: text})
		}
	}
	if len(late.Points) < 4 {
		return nil // the table says as much
	}
	x, scale := timeAxis(r)
	for i := range late.Points {
		late.Points[i].X, delay.Points[i].X = late.Points[i].X/scale, delay.Points[i].X/scale
	}
	legend := []swatch{{"pass", "all calls good"}, {"fail", "some not"}, {"direct dot", "direct"}}
	var list []drawing
	if top(late) > 0 {
		list = append(list, draw("Late by more than 100 ms, in windows", chart.Chart{Label: "late loss over time", X: x, Y: chart.Axis{Label: "%"}, Bands: bands(r, scale), Series: []chart.Series{late}}, legend...))
	}
	return append(list, draw("Delay, 95th percentile of the calls, in windows", chart.Chart{Label: "delay over time", X: x, Y: chart.Axis{Label: "ms"}, Bands: bands(r, scale), Series: []chart.Series{delay}}, legend...))
}
