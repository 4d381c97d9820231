package report

import (
	"fmt"
	"strings"

	"github.com/turngate/turngate/harness/measure"
)

// sizeSection is the answer of turngate size: the constraints, and what gave way.
func sizeSection(r measure.Record) section {
	z := r.Size
	if z == nil {
		return section{}
	}
	s := section{Heading: "How many proxies", Lead: demand(z.Demand)}
	t := table{Head: heads("constraint", "#the calls need", "#a proxy has", "#planned with", "#proxies", "how that is known")}
	for _, c := range z.Constraints {
		name, proxies := text(c.Name), num(fmt.Sprint(c.Proxies))
		if c.Proxies == 0 {
			proxies.Text = "no number"
		}
		if c.Binding {
			name = cell{Text: c.Name + " (decides)", Class: "binding"}
			proxies.Class = "num binding"
		}
		t.Rows = append(t.Rows, []cell{name, num(amount(c.Needed, c.Unit)), num(amount(c.PerProxy, c.Unit)), num(fmt.Sprintf("%.0f %%", 100*c.Headroom)), proxies, {Text: c.Basis, Class: "quiet"}})
	}
	if len(t.Rows) > 0 {
		s.Tables = append(s.Tables, t)
	}
	more := ""
	if z.AtLeast {
		more = " or more: the search ended before the proxy did"
	}
	s.Items = append(s.Items, fmt.Sprintf("One proxy carries %s%s; %s.", plural(z.Capacity, "call"), more, confirmed(z)))
	if z.GaveWay != "" {
		s.Items = append(s.Items, "What gave way: "+z.GaveWay+".")
	}
	s.Items = append(s.Items, z.Why...)
	return s
}

func amount(v float64, unit string) string {
	if unit == "bytes" || unit == "B" {
		return memory(v)
	}
	return plain(v) + " " + unit
}

func demand(d measure.Demand) string {
	text := fmt.Sprintf("For %d calls at the same time", d.Concurrent)
	if d.Users > 0 {
		text += fmt.Sprintf(": %d users who make %.4g calls each in the busy hour", d.Users, d.PerHour)
		if d.HoldingS > 0 {
			text += fmt.Sprintf(", of %s", span(d.HoldingS))
		}
	}
	if d.JoinsPerMinute > 0 {
		text += fmt.Sprintf(", %s of which begin in the busiest minute", plain(d.JoinsPerMinute))
	}
	if d.Erlangs > 0 {
		text += fmt.Sprintf("; %.4g erlangs", d.Erlangs)
		if d.Blocking > 0 {
			text += fmt.Sprintf(" with %s of the calls blocked (Erlang B)", percent(d.Blocking))
		}
	}
	return text + "."
}

// modelSection shows the cost model: what it says and how sure it is.
func modelSection(r measure.Record) section {
	if r.Size == nil || len(r.Size.Model) == 0 {
		return section{}
	}
	t := table{Head: heads("for each", "#cores of the proxy", "#standard error", "")}
	var left []string
	for _, m := range r.Size.Model {
		if !m.Shown {
			left = append(left, m.Name)
			continue
		}
		t.Rows = append(t.Rows, []cell{text(m.Name), num(fmt.Sprintf("%.3g", m.Cores)), num(fmt.Sprintf("± %.1g", m.StdErr)), sureness(m)})
	}
	s := section{Heading: "What costs the proxy CPU", Tables: []table{t}, Lead: strings.TrimSpace(fmt.Sprintf("A linear model fitted to steps that differ in one thing at a time; R² %.3f. %s", r.Size.ModelR2, r.Size.Formula))}
	if v := r.Size.Validation; v != nil {
		s.Tables = append(s.Tables, validationTable(v))
	}
	if len(left) > 0 {
		s.Items = []string{fmt.Sprintf("Not significant, and so not shown: %s.", strings.Join(left, ", "))}
	}
	return s
}

// sureness says how sure a term is, in words.
func sureness(m measure.Term) cell {
	if m.Cores <= 0 || m.StdErr <= 0 {
		return cell{}
	}
	return cell{Text: fmt.Sprintf("known within %.0f %%", 200*m.StdErr/m.Cores), Class: "quiet", Title: "two standard errors"}
}

// validationTable puts the prediction beside what was measured after it.
func validationTable(v *measure.Validation) table {
	t := table{Caption: "Foretold before it was measured, for " + v.Mix, Head: heads("#measurement", "#foretold", "#95 % between", "#measured", "#foretold is off by")}
	for i, got := range v.Measured {
		t.Rows = append(t.Rows, []cell{num(fmt.Sprint(i + 1)), num(fmt.Sprintf("%.3f cores", v.Predicted)), num(fmt.Sprintf("%.3f and %.3f", v.Low, v.High)),
			num(fmt.Sprintf("%.3f cores", got)), num(fmt.Sprintf("%+.1f %%", 100*(v.Predicted/got-1)))})
	}
	return t
}
