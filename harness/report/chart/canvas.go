package chart

import (
	"fmt"
	"html"
	"image"
	"image/color"
	"math"
	"strings"

	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
)

// A class stands where gonum/plot has a colour: the page says what it looks like.
type class string

// String is the class as it stands in an attribute.
func (k class) String() string { return html.EscapeString(string(k)) }

// RGBA makes a class a color.Color; nothing is drawn with it.
func (class) RGBA() (r, g, b, a uint32) { return 0, 0, 0, math.MaxUint16 }

// A canvas is a vg.Canvas that writes SVG. gonum's y grows upwards, SVG's downwards.
type canvas struct {
	b      strings.Builder
	size   vg.Point
	now    state
	stack  []state
	titled string // the <title> of what is drawn next
}

type state struct {
	class class
	width vg.Length
	dash  []vg.Length
	m     [6]float64 // x' = m0 x + m2 y + m4, y' = m1 x + m3 y + m5
}

func newCanvas(w, h float64) *canvas {
	return &canvas{size: vg.Point{X: vg.Length(w), Y: vg.Length(h)}, now: state{class: "frame", width: 1, m: [6]float64{1, 0, 0, 1, 0, 0}}}
}

func (c *canvas) Size() (x, y vg.Length)                       { return c.size.X, c.size.Y }
func (c *canvas) SetLineWidth(w vg.Length)                     { c.now.width = w }
func (c *canvas) SetLineDash(pattern []vg.Length, _ vg.Length) { c.now.dash = pattern }

func (c *canvas) SetColor(col color.Color) {
	if c.now.class = "frame"; col != nil {
		if k, ok := col.(class); ok {
			c.now.class = k
		}
	}
}

func (c *canvas) Rotate(rad float64) {
	sin, cos := math.Sincos(rad)
	m := c.now.m
	c.now.m = [6]float64{m[0]*cos + m[2]*sin, m[1]*cos + m[3]*sin, m[2]*cos - m[0]*sin, m[3]*cos - m[1]*sin, m[4], m[5]}
}

func (c *canvas) Translate(p vg.Point) {
	x, y := c.at(p)
	c.now.m[4], c.now.m[5] = x, y
}

func (c *canvas) Scale(x, y float64) {
	for i := range 2 {
		c.now.m[i], c.now.m[i+2] = c.now.m[i]*x, c.now.m[i+2]*y
	}
}

func (c *canvas) Push() { c.stack = append(c.stack, c.now) }

func (c *canvas) Pop() {
	last := len(c.stack) - 1
	c.now, c.stack = c.stack[last], c.stack[:last]
}

// at is a point in gonum's coordinates of the whole drawing.
func (c *canvas) at(p vg.Point) (x, y float64) {
	m := c.now.m
	return m[0]*float64(p.X) + m[2]*float64(p.Y) + m[4], m[1]*float64(p.X) + m[3]*float64(p.Y) + m[5]
}

// position is a point in SVG's.
func (c *canvas) position(p vg.Point) (x, y float64) {
	x, y = c.at(p)
	return x, float64(c.size.Y) - y
}

func (c *canvas) Stroke(p vg.Path) {
	if c.now.width <= 0 {
		return
	}
	dash := ""
	if len(c.now.dash) > 0 {
		var lengths []string
		for _, l := range c.now.dash {
			lengths = append(lengths, number(float64(l)))
		}
		dash = ` stroke-dasharray="` + strings.Join(lengths, " ") + `"`
	}
	c.element("path", fmt.Sprintf(`class="stroke %s" stroke-width="%s"%s d="%s"`, c.now.class, number(float64(c.now.width)), dash, c.data(p)))
}

func (c *canvas) Fill(p vg.Path) {
	c.element("path", fmt.Sprintf(`class="fill %s" d="%s"`, c.now.class, c.data(p)))
}

// dot draws a mark at a point.
func (c *canvas) dot(p vg.Point, radius float64, k class) {
	x, y := c.position(p)
	c.element("circle", fmt.Sprintf(`class="fill %s" cx="%s" cy="%s" r="%s"`, k, number(x), number(y), number(radius)))
}

// FillString leaves the font to the page, but for its size, and has the browser fit the text to the
// width that the layout was made with.
func (c *canvas) FillString(f font.Face, p vg.Point, text string) {
	x, y := c.position(p)
	turned := ""
	if angle := math.Atan2(c.now.m[1], c.now.m[0]); math.Abs(angle) > 0.01 {
		turned = fmt.Sprintf(` transform="rotate(%s %s %s)"`, number(-angle*180/math.Pi), number(x), number(y))
	}
	fmt.Fprintf(&c.b, `<text class="words %s" font-size="%s" textLength="%s" lengthAdjust="spacingAndGlyphs" x="%s" y="%s"%s>%s</text>`,
		c.now.class, number(float64(f.Font.Size)), number(float64(f.Width(text))), number(x), number(y), turned, html.EscapeString(text))
}

// DrawImage is of vg.Canvas; there are no images in a chart.
func (c *canvas) DrawImage(vg.Rectangle, image.Image) {}

// element writes an element with the title that waits for it.
func (c *canvas) element(name, attributes string) {
	if c.titled == "" {
		fmt.Fprintf(&c.b, "<%s %s/>", name, attributes)
		return
	}
	fmt.Fprintf(&c.b, "<%s %s><title>%s</title></%s>", name, attributes, html.EscapeString(c.titled), name)
	c.titled = ""
}

// data is a path's. Nothing here draws arcs: axes and lines are straight, dots are circles.
func (c *canvas) data(p vg.Path) string {
	var b strings.Builder
	for _, part := range p {
		x, y := c.position(part.Pos)
		switch part.Type {
		case vg.CloseComp:
			b.WriteString("Z")
		case vg.MoveComp:
			fmt.Fprintf(&b, "M%s %s", number(x), number(y))
		default:
			fmt.Fprintf(&b, "L%s %s", number(x), number(y))
		}
	}
	return b.String()
}

// number keeps a tenth of a point, which no eye sees.
func number(v float64) string {
	s := strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
	if s == "-0" {
		return "0"
	}
	return s
}
