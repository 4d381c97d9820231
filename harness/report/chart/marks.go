package chart

import (
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// frame draws a grid line at each labelled tick.
type frame struct{ *Chart }

// Plot implements plot.Plotter.
func (f frame) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	style := draw.LineStyle{Color: class("grid"), Width: 0.5}
	for _, t := range p.Y.Tick.Marker.Ticks(p.Y.Min, p.Y.Max) {
		if at := y(t.Value); !t.IsMinor() && c.ContainsY(at) {
			c.StrokeLine2(style, c.Min.X, at, c.Max.X, at)
		}
	}
	if f.X.Ticks == nil {
		return // of a scale of numbers the horizontal lines are enough
	}
	for _, t := range p.X.Tick.Marker.Ticks(p.X.Min, p.X.Max) {
		if at := x(t.Value); !t.IsMinor() && c.ContainsX(at) {
			c.StrokeLine2(style, at, c.Min.Y, at, c.Max.Y)
		}
	}
}

// Plot implements plot.Plotter.
func (b *Band) Plot(c draw.Canvas, p *plot.Plot) {
	x, _ := p.Transforms(&c)
	from, to := max(x(b.From), c.Min.X), min(x(b.To), c.Max.X)
	if to <= from {
		return
	}
	title(c, b.Title)
	c.SetColor(class(b.Class))
	c.Fill(polygon(vg.Point{X: from, Y: c.Min.Y}, vg.Point{X: to, Y: c.Min.Y}, vg.Point{X: to, Y: c.Max.Y}, vg.Point{X: from, Y: c.Max.Y}))
}

// Plot implements plot.Plotter.
func (l *Limit) Plot(c draw.Canvas, p *plot.Plot) {
	_, y := p.Transforms(&c)
	at := y(l.Y)
	if !c.ContainsY(at) {
		return
	}
	title(c, l.Title)
	c.StrokeLine2(draw.LineStyle{Color: class("limit"), Width: 1, Dashes: []vg.Length{4, 3}}, c.Min.X, at, c.Max.X, at)
}

// Plot implements plot.Plotter.
func (s *Series) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	var line []vg.Point
	for _, pt := range s.Points {
		if math.IsNaN(pt.Y) || math.IsInf(pt.Y, 0) || p.X.Min > pt.X || pt.X > p.X.Max {
			continue
		}
		line = append(line, vg.Point{X: x(pt.X), Y: min(max(y(pt.Y), c.Min.Y), c.Max.Y)})
	}
	s.line(c, line)
	if s.Dots <= 0 {
		return
	}
	for _, pt := range s.Points {
		if at := (vg.Point{X: x(pt.X), Y: y(pt.Y)}); c.Contains(at) {
			title(c, pt.Title)
			on(c).dot(at, s.Dots, class(either(pt.Class, s.Class)))
		}
	}
}

func (s *Series) line(c draw.Canvas, line []vg.Point) {
	if len(line) < 2 {
		return
	}
	if s.Filled {
		area := append([]vg.Point{{X: line[0].X, Y: c.Min.Y}}, line...)
		c.SetColor(class(s.Class + " area"))
		c.Fill(polygon(append(area, vg.Point{X: line[len(line)-1].X, Y: c.Min.Y})...))
	}
	style := draw.LineStyle{Color: class(s.Class), Width: vg.Length(s.Width)}
	if s.Width == 0 {
		style.Width = 1.6
	}
	if s.Dashed {
		style.Dashes = []vg.Length{5, 3}
	}
	if style.Width > 0 {
		title(c, s.Title)
		c.StrokeLines(style, line)
	}
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func polygon(points ...vg.Point) (p vg.Path) {
	p.Move(points[0])
	for _, at := range points[1:] {
		p.Line(at)
	}
	p.Close()
	return p
}

// on is the canvas under gonum's, which wraps one around another for each part that it crops.
func on(c draw.Canvas) *canvas {
	for {
		switch inner := c.Canvas.(type) {
		case *canvas:
			return inner
		case draw.Canvas:
			c = inner
		}
	}
}

// title gives the next mark one.
func title(c draw.Canvas, text string) { on(c).titled = text }
