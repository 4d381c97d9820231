package report

import (
	"fmt"
	"math"
	"strings"

	"github.com/turngate/turngate/harness/measure"
	"github.com/turngate/turngate/harness/report/chart"
)

// phaseOrder is that in which a tunnel comes about. Legs of CONNECT stand between the two halves.
var phaseOrder = []string{"tcp", "proxy-tls", "connect-", "auth", "connect", "turn-tls", "allocate", "bind", "first-media", "total"}

var phaseWords = map[string]string{
	"tcp": "TCP connection", "proxy-tls": "TLS to the proxy", "auth": "computing credentials", "connect": "all of CONNECT", "turn-tls": "TLS to the TURN server",
	"allocate": "Allocate", "bind": "ChannelBind", "first-media": "first media", "total": "all, until media",
}

// phaseName is a phase in words: "connect-2" is the second CONNECT request.
func phaseName(name string) string {
	if leg, ok := strings.CutPrefix(name, "connect-"); ok {
		return "CONNECT request " + leg
	}
	if w, ok := phaseWords[name]; ok {
		return w
	}
	return name
}

// orderedPhases are the set-up of a step in the order of phaseOrder, what is not known last.
func orderedPhases(s measure.Step) (list []measure.Phase) {
	taken := make(map[string]bool)
	for _, want := range phaseOrder {
		for _, p := range s.Setup {
			if p.Name == want || strings.HasSuffix(want, "-") && strings.HasPrefix(p.Name, want) {
				list, taken[p.Name] = append(list, p), true
			}
		}
	}
	for _, p := range s.Setup {
		if !taken[p.Name] {
			list = append(list, p)
		}
	}
	return list
}

// setupSection shows where the time until the first media goes, of the step that opened most tunnels.
func setupSection(r measure.Record) section {
	var best, direct *measure.Step
	for i := range r.Steps {
		s := &r.Steps[i]
		switch {
		case opened(s) == 0:
		case s.Direct:
			direct = s
		case best == nil || opened(s) > opened(best):
			best = s
		}
	}
	if best == nil {
		return section{}
	}
	scheme := r.Path.Auth
	if r.Path.Legs > 0 {
		scheme += ", " + plural(r.Path.Legs, "CONNECT request")
	}
	return section{
		Heading: "Setting up a call",
		Lead:    fmt.Sprintf("Where the time goes until the first media, by phase, with %s; %s of step “%s”.", scheme, plural(int(opened(best)), "tunnel"), best.Name),
		Charts:  []drawing{phasesChart(best, direct)},
		Tables:  []table{phasesTable(best, direct)},
	}
}

// opened is how many tunnels the set-up of a step measures.
func opened(s *measure.Step) (n int64) {
	for _, p := range s.Setup {
		if p.Name == "total" {
			return p.Took.Count()
		}
		n = max(n, p.Took.Count())
	}
	return n
}

// phasesChart has a line for each phase from its median to its 99th percentile, the 95th in between.
func phasesChart(s, direct *measure.Step) drawing {
	phases := orderedPhases(*s)
	c := chart.Chart{Label: "phases of the set-up", X: chart.Axis{Label: "ms", Log: true}, Height: 46 + 22*float64(len(phases)), Width: 700,
		Y: chart.Axis{Min: chart.F(-0.7), Max: chart.F(float64(len(phases)) - 0.3)}}
	for i, p := range phases {
		y := float64(len(phases) - 1 - i)
		c.Y.Ticks = append(c.Y.Ticks, chart.Tick{Value: y, Label: phaseName(p.Name)})
		if d := find(direct, p.Name); d != nil {
			c.Series = append(c.Series, phaseLine(*d, y-0.2, "direct"))
		}
		c.Series = append(c.Series, phaseLine(p, y+0.12, "three"))
	}
	legend := []swatch{{"three dot", "through the proxy"}}
	if direct != nil {
		legend = append(legend, swatch{"direct dot", "direct"})
	}
	d := draw("Median, 95th and 99th percentile", c, legend...)
	d.Across = true
	return d
}

func find(s *measure.Step, name string) *measure.Phase {
	if s == nil {
		return nil
	}
	for i := range s.Setup {
		if s.Setup[i].Name == name && s.Setup[i].Took.Count() > 0 {
			return &s.Setup[i]
		}
	}
	return nil
}

func phaseLine(p measure.Phase, y float64, class string) chart.Series {
	s := chart.Series{Class: class, Dots: 3.2, Width: 2}
	sum := p.Took.Summary()
	for _, v := range []float64{sum.P50, sum.P95, sum.P99} {
		s.Points = append(s.Points, chart.Point{X: math.Max(v, 0.01), Y: y, Title: fmt.Sprintf("%s: p50 %s, p95 %s, p99 %s, largest %s", phaseName(p.Name),
			fine(sum.P50), fine(sum.P95), fine(sum.P99), fine(sum.Max))})
	}
	return s
}

// fine prints milliseconds of things that take less than one.
func fine(v float64) string {
	if v < 10 {
		return fmt.Sprintf("%.2f ms", v)
	}
	return milliseconds(v)
}

func phasesTable(s, direct *measure.Step) table {
	t := table{Head: heads("phase", "#tunnels", "#p50", "#p95", "#p99", "#largest")}
	if direct != nil {
		t.Head = append(t.Head, heads("#direct p50", "#p95", "#p99")...)
	}
	for _, p := range orderedPhases(*s) {
		if p.Took.Count() == 0 {
			continue
		}
		sum := p.Took.Summary()
		line := []cell{text(phaseName(p.Name)), num(fmt.Sprint(sum.Count)), num(fine(sum.P50)), num(fine(sum.P95)), num(fine(sum.P99)), num(fine(sum.Max))}
		if direct != nil {
			line = append(line, directCells(find(direct, p.Name))...)
		}
		t.Rows = append(t.Rows, line)
	}
	return t
}

func directCells(p *measure.Phase) []cell {
	if p == nil {
		return []cell{num("–"), num("–"), num("–")}
	}
	sum := p.Took.Summary()
	return []cell{num(fine(sum.P50)), num(fine(sum.P95)), num(fine(sum.P99))}
}
