package loadtest

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/turngate/turngate/harness/measure"
)

// addedUp are the values of rows that add up over hosts.
var addedUp = []string{"calls", "opening", "lost", "received_pps"}

// ofProxy are the beginnings of names of what is the proxy's, whoever looks.
var ofProxy = []string{"proc.", "squid.", "snmp.", "prom."}

// rows are those of all parts on one time axis. Each name has its part before it ("part 1/2:
// tcp.rtt_ms_mean"), but for what one part alone has seen of the proxy; what adds up is there as the
// sum, too.
func (m *merger) rows() (all []measure.Row) {
	alone := m.seenAlone()
	for _, p := range m.parts {
		for _, r := range p.Record.Rows {
			values := make(map[string]float64, len(r.Values))
			for name, v := range r.Values {
				if !alone[name] {
					name = p.name() + ": " + name
				}
				values[name] = v
			}
			all = append(all, measure.Row{At: r.At + p.after(m.started), Values: values})
		}
	}
	all = append(all, m.sums()...)
	slices.SortStableFunc(all, func(a, b measure.Row) int { return cmp.Compare(a.At, b.At) })
	return all
}

// seenAlone are the names of what is the proxy's and only one part has.
func (m *merger) seenAlone() map[string]bool {
	by := make(map[string]int)
	for _, p := range m.parts {
		mine := make(map[string]bool)
		for _, r := range p.Record.Rows {
			for name := range r.Values {
				mine[name] = true
			}
		}
		for name := range mine {
			by[name]++
		}
	}
	alone := make(map[string]bool)
	for name, n := range by {
		alone[name] = n == 1 && slices.ContainsFunc(ofProxy, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
	}
	return alone
}

// sums are rows of what adds up, at the times of the first part's, where all others have one nearby.
func (m *merger) sums() (list []measure.Row) {
	next := make([]int, len(m.parts)) // rows before are older than that of the first part
	for _, r := range m.parts[0].Record.Rows {
		at := r.At + m.parts[0].after(m.started)
		values := make(map[string]float64)
		for i, p := range m.parts {
			row, there := p.nearest(&next[i], at-p.after(m.started))
			if !there {
				values = nil
				break
			}
			for _, name := range addedUp {
				values[name] += row.Values[name]
			}
		}
		if values != nil {
			list = append(list, measure.Row{At: at, Values: values})
		}
	}
	return list
}

// nearest is the part's row at a time, if it is no further away than they are from each other. from is
// where the last search ended; times must rise.
func (p part) nearest(from *int, at float64) (measure.Row, bool) {
	rows := p.Record.Rows
	for *from+1 < len(rows) && math.Abs(rows[*from+1].At-at) <= math.Abs(rows[*from].At-at) {
		*from++
	}
	if *from >= len(rows) {
		return measure.Row{}, false
	}
	apart := rowEvery.Seconds()
	if n := len(rows); n > 1 {
		apart = max(apart, (rows[n-1].At-rows[0].At)/float64(n-1))
	}
	return rows[*from], math.Abs(rows[*from].At-at) <= apart
}

// pages adds to a step's figures those of the pages that the parts have fetched meanwhile.
func (m *merger) pages(s *measure.Step, i int) {
	for _, p := range m.parts {
		if i >= len(p.steps) {
			continue
		}
		for name, v := range p.steps[i].Figures {
			if strings.HasPrefix(name, "web_") {
				s.Figures[p.name()+": "+name] = v
			}
		}
		if v, known := p.steps[i].Figures[WebRate]; known {
			s.Figures[WebRate] += v
		}
	}
}
