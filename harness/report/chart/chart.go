package chart

import (
	"fmt"
	"html"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// A Chart is what to draw. Size and fonts are in points; the page may scale the whole.
type Chart struct {
	Label         string  // what is to be seen, for those who do not see it
	Width, Height float64 // Default 440 and 215
	X, Y          Axis
	Bands         []Band
	Limits        []Limit
	Series        []Series
}

// An Axis is one scale.
type Axis struct {
	Label string
	Log   bool   // values must be above 0
	Ticks []Tick // Default: chosen by the range
	Min   *float64
	Max   *float64
}

// A Tick is a label at a value.
type Tick struct {
	Value float64
	Label string
}

// A Series is a line with points in the order of X, or points alone.
type Series struct {
	Class  string
	Points []Point
	Width  float64 // of the line. Default 1.6; below 0: none
	Dots   float64 // radius of the dots. Default 0: none
	Dashed bool
	Filled bool   // down to the lowest Y
	Title  string // of the line
}

// A Point is one value. Class, if given, is its dot's.
type Point struct {
	X, Y  float64
	Title string
	Class string
}

// A Band is a stretch of X with a name.
type Band struct {
	From, To float64
	Title    string
	Class    string
}

// A Limit is a dashed line across.
type Limit struct {
	Y     float64
	Title string
}

// F is a fixed end of an Axis.
func F(v float64) *float64 { return &v }

const (
	labelSize = 9.5
	tickSize  = 9
)

// SVG draws it. The result is a complete <svg> element to be put into HTML.
func (ch Chart) SVG() string {
	if ch.Width == 0 {
		ch.Width = 440
	}
	if ch.Height == 0 {
		ch.Height = 215
	}
	p := plot.New()
	p.BackgroundColor = nil
	ch.X.set(&p.X)
	ch.Y.set(&p.Y)
	ch.ranges(p)
	p.Add(frame{&ch})
	for i := range ch.Bands {
		p.Add(&ch.Bands[i])
	}
	for i := range ch.Limits {
		p.Add(&ch.Limits[i])
	}
	for i := range ch.Series {
		p.Add(&ch.Series[i])
	}
	c := newCanvas(ch.Width, ch.Height)
	p.Draw(draw.New(c))
	return fmt.Sprintf(`<svg viewBox="0 0 %s %s" role="img" aria-label="%s">%s</svg>`,
		number(ch.Width), number(ch.Height), html.EscapeString(ch.Label), c.b.String())
}

// set makes gonum's axis look as the page's.
func (a Axis) set(to *plot.Axis) {
	to.Label.Text = a.Label
	to.Label.TextStyle.Color, to.Label.TextStyle.Font = class("frame"), sans(labelSize)
	to.Label.Padding = 4
	to.Color, to.Width, to.Padding = class("frame"), 0.5, 0
	to.Tick.Color, to.Tick.Width, to.Tick.Length = class("frame"), 0.5, 3
	to.Tick.Label.Color, to.Tick.Label.Font = class("frame"), sans(tickSize)
	to.Tick.Marker = ticker(a)
	if a.Log {
		to.Scale = plot.LogScale{}
	}
}

func sans(size float64) font.Font {
	return font.Font{Typeface: "Liberation", Variant: "Sans", Size: vg.Points(size)}
}

// ranges sets the ends of both axes: those of the data, with room above, and what the caller has fixed.
func (ch Chart) ranges(p *plot.Plot) {
	x, y := newExtent(), newExtent()
	for _, s := range ch.Series {
		for _, pt := range s.Points {
			x.add(pt.X)
			y.add(pt.Y)
		}
	}
	for _, l := range ch.Limits {
		y.add(l.Y)
	}
	for _, b := range ch.Bands {
		x.add(b.From)
		x.add(b.To)
	}
	p.X.Min, p.X.Max = x.ends(ch.X, ch.X.Log)
	p.Y.Min, p.Y.Max = y.ends(ch.Y, true)
}

type extent struct{ low, high float64 }

func newExtent() extent { return extent{math.Inf(1), math.Inf(-1)} }

func (e *extent) add(v float64) {
	if !math.IsNaN(v) && !math.IsInf(v, 0) {
		e.low, e.high = min(e.low, v), max(e.high, v)
	}
}

// ends are those of an axis. A linear one that has room begins at 0.
func (e extent) ends(a Axis, room bool) (low, high float64) {
	low, high = e.low, e.high
	if math.IsInf(low, 0) {
		low, high = 1, 10
	}
	switch {
	case a.Log && low == high:
		low, high = low/2, high*2
	case a.Log && room:
		low, high = low/1.2, high*1.2
	case room:
		low, high = min(low, 0), high+0.08*(high-min(low, 0))
	}
	if a.Min != nil {
		low = *a.Min
	}
	if a.Max != nil {
		high = *a.Max
	}
	if low >= high {
		high = low + 1
	}
	return low, high
}
