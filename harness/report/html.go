package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/turngate/turngate/harness/measure"
)

// RecordHTML writes a record as one HTML file that needs nothing else: no script, no request, light or
// dark as the reader has it, and fit to be printed.
func RecordHTML(w io.Writer, r measure.Record) error {
	p := page{
		Title: fmt.Sprintf("turngate %s: %s", r.Command, r.Verdict), Headline: headline(r), Kind: kind(r), Verdict: r.Verdict,
		Partial: r.Partial, Reasons: r.Reasons, When: when(r), Tiles: tiles(r), Foot: foot(r),
	}
	for _, s := range []section{
		sizeSection(r), modelSection(r), objectivesSection(r), stepsSection(r), delaySection(r), lateSection(r), setupSection(r),
		proxySection(r), streamsSection(r), tunnelsSection(r), generatorSection(r), profileSection(r), conditionsSection(r), unknownSection(r),
	} {
		if !s.empty() {
			p.Sections = append(p.Sections, s)
		}
	}
	return p.write(w)
}

func kind(r measure.Record) string {
	return "turngate " + r.Command + " · " + cmp.Or(r.Profile.Summary, r.Profile.Name)
}

func when(r measure.Record) string {
	through := r.Path.TURN + " without a proxy"
	if r.Path.Proxy != "" {
		through = r.Path.TURN + " through " + strings.TrimSpace(r.Path.Product+" at "+r.Path.Proxy)
	}
	if r.Path.Auth != "" {
		through += ", " + r.Path.Auth
	}
	return fmt.Sprintf("%s · %s · %s", through, r.Started.UTC().Format("2 January 2006, 15:04:05 UTC"), span(r.Seconds))
}

func span(seconds float64) string {
	switch {
	case seconds >= 5400:
		return fmt.Sprintf("%.1f hours", seconds/3600)
	case seconds >= 120:
		return strings.TrimSuffix(fmt.Sprintf("%d min %d s", int(seconds)/60, int(seconds)%60), " 0 s")
	}
	return fmt.Sprintf("%.0f s", seconds)
}

func foot(r measure.Record) string {
	return fmt.Sprintf("Run %s, seed %d, record format %d, turngate %s. Delays count from when a packet was due to be sent. "+
		"turngate report renders this page again from the record (--json).", r.Run, r.Seed, r.Format, r.Conditions.Version)
}

// tiles are the figures of the step that is quoted.
func tiles(r measure.Record) (list []tile) {
	if z := r.Size; z != nil {
		more := ""
		if z.AtLeast {
			more = " or more"
		}
		list = append(list, tile{Value: fmt.Sprint(z.Proxies), Label: "proxies needed, the spare included", Note: "decided by " + z.Binding},
			tile{Value: fmt.Sprint(z.Capacity) + more, Label: "calls that one proxy carries", Note: confirmed(z)})
	}
	s := reference(r)
	if s == nil {
		return list
	}
	if r.Size == nil {
		list = append(list, tile{Value: fmt.Sprint(s.Calls), Label: callsLabel(*s), Note: r.Profile.Name, Class: string(s.Verdict)})
	}
	at := "at " + plural(s.Calls, "call")
	for _, metric := range []string{"added_p95_ms", "late_100ms_share", "connect_p95_ms"} {
		if v, known := s.Figures[metric]; known {
			list = append(list, tile{Value: figure(metric, v), Label: wordsFor(r, metric), Note: at, Class: judgement(r, metric, v)})
		}
	}
	if c := cores(*s); c != "" {
		list = append(list, tile{Value: c, Label: "cores used by the proxy and its helpers", Note: at})
	}
	if l := s.Generator.Lateness; r.Size == nil && l != nil && l.Count() > 0 {
		list = append(list, tile{Value: milliseconds(l.Milliseconds(0.99)), Label: "the generator was late, 99th percentile", Note: at, Class: voidIf(s.Verdict)})
	}
	return list
}

// confirmed says how often a capacity was seen again.
func confirmed(z *measure.Size) string {
	if strings.HasSuffix(z.Confirmed, " of 0") {
		return "not confirmed, there was no time"
	}
	return "confirmed in " + z.Confirmed
}

func callsLabel(s measure.Step) string {
	switch s.Verdict {
	case measure.Pass:
		return "calls carried within every objective"
	case measure.Fail:
		return "calls were too many"
	}
	return "calls offered, not judged"
}

// judgement is "fail" for a figure that breaks an objective.
func judgement(r measure.Record, metric string, v float64) string {
	for _, o := range r.Objectives {
		if o.Metric == metric && (o.Max && v > o.Limit || !o.Max && v < o.Limit) {
			return "fail"
		}
	}
	return ""
}

func voidIf(v measure.Verdict) string {
	if v == measure.Void {
		return "void"
	}
	return ""
}

func objectivesSection(r measure.Record) section {
	t := table{Head: heads("objective", "#wanted", "#worst step", "verdict", "whose share", "where the limit comes from")}
	for _, o := range r.Objectives {
		got, verdict := "not measured", cell{}
		if o.Measured {
			got, verdict = figure(o.Metric, o.Got), verdictCell(o.Verdict)
		}
		name := text(wordsFor(r, o.Metric))
		name.Title = o.Metric
		t.Rows = append(t.Rows, []cell{name, num(bound(o)), num(got), verdict, text(o.Share), {Text: o.Source, Class: "quiet"}})
	}
	if len(t.Rows) == 0 {
		return section{}
	}
	return section{Heading: "Objectives", Tables: []table{t}}
}

// bound is want with the signs that HTML has.
func bound(o measure.Objective) string {
	return strings.NewReplacer("<=", "≤", ">=", "≥").Replace(want(o))
}

// stepsSection shows what more calls do.
func stepsSection(r measure.Record) section {
	if len(r.Steps) == 0 {
		return section{}
	}
	s := section{Heading: "Load", Tables: []table{stepsTable(r, r.Steps)}}
	if distinctCalls(r.Steps) < 2 {
		return s
	}
	s.Heading, s.Lead = "Capacity: what more calls do", "How quality holds as calls are added. Each dot is a step; the dashed line is the objective."
	for _, m := range []string{"added_p95_ms", "late_100ms_share", "connect_p95_ms"} {
		if d, ok := by(calls, r, m); ok {
			s.Charts = append(s.Charts, d)
		}
	}
	if d, ok := by(tunnelsPerSecond, r, "connect_p95_ms"); ok {
		s.Charts = append(s.Charts, d)
	}
	if d, ok := coresByCalls(r); ok {
		s.Charts = append(s.Charts, d)
	}
	return s
}

func distinctCalls(steps []measure.Step) int {
	seen := make(map[float64]bool)
	for _, s := range steps {
		if n, has := calls.of(s); has {
			seen[n] = true
		}
	}
	return len(seen)
}

func stepsTable(r measure.Record, steps []measure.Step) table {
	t := table{Head: heads("step", "kind", "verdict", "#calls", "#Mbit/s", "#packets/s", "#"+delayName(r)+" p50", "#p95", "#p99", "#added p95", "#late, 100 ms", "#tunnel p95", "#proxy cores")}
	for _, s := range steps {
		kind := s.Kind
		if s.Direct {
			kind += ", direct"
		}
		name := text(stepName(s))
		name.Title = strings.Join(s.Reasons, "; ")
		line := []cell{name, {Text: kind, Class: "quiet"}, verdictCell(s.Verdict), num(fmt.Sprint(s.Calls)), num(fmt.Sprintf("%.1f", s.Up.Mbps+s.Down.Mbps)), num(fmt.Sprintf("%.0f", s.Up.PPS+s.Down.PPS))}
		for _, m := range []string{"delay_p50_ms", "delay_p95_ms", "delay_p99_ms", "added_p95_ms", "late_100ms_share", "connect_p95_ms"} {
			v, known := s.Figures[m]
			if !known || s.Direct && m == "connect_p95_ms" {
				line = append(line, num("–"))
				continue
			}
			line = append(line, num(figure(m, v)))
		}
		t.Rows = append(t.Rows, append(line, num(cmp.Or(cores(s), "–"))))
	}
	return t
}

func streamsSection(r measure.Record) section {
	t := table{Head: heads("step", "stream", "way", "#"+delayName(r)+" p50", "#p95", "#p99", "#largest", "#jitter p95", "#late, 100 ms", "#stalls", "#freezes", "#MOS, estimated")}
	for _, s := range r.Steps {
		if s.Kind == "search" || s.Kind == "model" {
			continue
		}
		for _, q := range s.Streams {
			if q.Delay == nil || q.Delay.Count() == 0 {
				continue
			}
			d, jitter, mos := q.Delay.Summary(), "–", "–"
			if q.Jitter != nil && q.Jitter.Count() > 0 {
				jitter = milliseconds(q.Jitter.Milliseconds(0.95))
			}
			if q.MOS > 0 {
				mos = fmt.Sprintf("%.2f", q.MOS)
			}
			t.Rows = append(t.Rows, []cell{text(s.Name), text(q.Name), text(wayFor(r, q.Up)), num(milliseconds(d.P50)), num(milliseconds(d.P95)), num(milliseconds(d.P99)),
				num(milliseconds(d.Max)), num(jitter), num(lateAt(q.Late, 100)), num(fmt.Sprint(q.Stalls)), num(fmt.Sprint(q.Freezes)), num(mos)})
		}
	}
	if len(t.Rows) == 0 {
		return section{}
	}
	return section{Heading: "Quality by stream", Tables: []table{t},
		Lead: "A stall is 200 ms without a packet of a stream; a freeze is a gap between video frames of three intervals at least, or one and 150 ms. The MOS is estimated (ITU-T G.107) from delay and late loss."}
}

// wayFor is the way of a stream's quality.
func wayFor(r measure.Record, up bool) string {
	if halved(r) {
		return "both"
	}
	return way(up)
}

func way(up bool) string {
	if up {
		return "up"
	}
	return "down"
}

func lateAt(list []measure.Late, ms int) string {
	for _, l := range list {
		if l.Milliseconds == ms {
			return percent(l.Share)
		}
	}
	return "–"
}

// tunnelsSection is there if some were not opened, or were lost.
func tunnelsSection(r measure.Record) section {
	t := table{Head: heads("step", "#wanted", "#opened", "#cut while in use", "why", "#lifetime of those cut, median")}
	for _, s := range r.Steps {
		u := s.Tunnels
		if len(u.Causes) == 0 && u.Lost == 0 {
			continue
		}
		var causes []string
		for cause, n := range u.Causes {
			causes = append(causes, fmt.Sprintf("%d × %s", n, cause))
		}
		slices.Sort(causes)
		life := "–"
		if u.Life != nil && u.Life.Count() > 0 {
			life = span(u.Life.Milliseconds(0.5) / 1000)
		}
		t.Rows = append(t.Rows, []cell{text(s.Name), num(fmt.Sprint(u.Wanted)), num(fmt.Sprint(u.Opened)), num(fmt.Sprint(u.Lost)), text(strings.Join(causes, "; ")), num(life)})
	}
	if len(t.Rows) == 0 {
		return section{}
	}
	return section{Heading: "Tunnels that failed", Tables: []table{t}}
}

func generatorSection(r measure.Record) section {
	t := table{Head: heads("step", "#late p50", "#p99", "#largest", "#of what was due", "#calls all through", "#cores", "#memory", "#descriptors", "#longest GC pause", "#CPU for GC")}
	for _, s := range r.Steps {
		g := s.Generator
		if g.Lateness == nil {
			continue
		}
		l, class := g.Lateness.Summary(), "num"
		if s.Verdict == measure.Void {
			class = "num warn"
		}
		fds := fmt.Sprint(g.FDs)
		if g.FDLimit > 0 {
			fds += fmt.Sprintf(" of %d", g.FDLimit)
		}
		t.Rows = append(t.Rows, []cell{text(s.Name), num(milliseconds(l.P50)), {Text: milliseconds(l.P99), Class: class}, num(milliseconds(l.Max)), num(percent(g.Sent)), num(percent(g.Coverage)),
			num(fmt.Sprintf("%.2f", g.CPU)), num(memory(float64(g.RSS))), num(fds), num(milliseconds(g.GCMax)), num(percent(g.GCShare))})
	}
	if len(t.Rows) == 0 {
		return section{}
	}
	return section{Heading: "The generator itself", Tables: []table{t},
		Lead: "A step in which the generator was the bottleneck is void, never failed: what it shows is this program and not the proxy. Late is how long after it was due a packet was written."}
}

func profileSection(r measure.Record) section {
	t := table{Caption: "One call of profile " + r.Profile.Name, Head: heads("stream", "way", "#kbit/s", "#packets/s", "#frames/s", "#largest packet")}
	for _, s := range r.Profile.Streams {
		fps := "–"
		if s.FPS > 0 {
			fps = plain(s.FPS)
		}
		t.Rows = append(t.Rows, []cell{text(s.Name), text(way(s.Up)), num(plain(s.Kbps)), num(fmt.Sprintf("%.4g", s.PPS)), num(fps), num(memory(float64(s.MaxSize)))})
	}
	s := section{Heading: "What was offered", Lead: r.Profile.Summary, Items: r.Profile.Sources}
	if len(t.Rows) > 0 {
		s.Tables = []table{t}
	}
	return s
}

func conditionsSection(r measure.Record) section {
	c := r.Conditions
	t := table{Head: heads("condition", "value")}
	add := func(name, value string) {
		if value != "" {
			t.Rows = append(t.Rows, []cell{{Text: name, Class: "quiet"}, text(value)})
		}
	}
	add("TURN server", r.Path.TURN)
	add("proxy", r.Path.Proxy)
	add("product", r.Path.Product)
	add("authentication", r.Path.Auth)
	if r.Path.Legs > 0 {
		add("CONNECT requests per tunnel", fmt.Sprint(r.Path.Legs))
	}
	add("lab", r.Path.Lab)
	add("delay is", cmp.Or(delayText(r), r.Path.Direction))
	add("part of the calls", r.Part)
	add("machine of the generator", fmt.Sprintf("%d × %s, %s, %s, load average %.1f in the minute before", c.CPUs, cmp.Or(c.CPU, "CPU"), c.OS, c.Kernel, c.Load))
	add("versions", fmt.Sprintf("turngate %s, %s", c.Version, c.Go))
	add("to be kept in mind", c.Note)
	if len(r.Steps) > 0 && r.Steps[0].Generator.Processes > 1 {
		add("generator processes", fmt.Sprint(r.Steps[0].Generator.Processes))
	}
	return section{Heading: "Conditions", Tables: []table{t}, Items: r.Warnings}
}

func unknownSection(r measure.Record) section {
	if len(r.Unknown) == 0 {
		return section{}
	}
	return section{Heading: "What could not be known", Items: r.Unknown}
}
