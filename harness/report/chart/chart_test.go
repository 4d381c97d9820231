package chart

import (
	"encoding/xml"
	"io"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestTicks(t *testing.T) {
	tests := []struct {
		name      string
		axis      Axis
		low, high float64
		want      string
	}{
		{"small", Axis{}, 0, 0.16, "0 0.05 0.1 0.15"},
		{"one", Axis{}, 0, 1.1, "0 0.2 0.4 0.6 0.8 1"},
		{"large", Axis{}, 0, 32000, "0 10 k 20 k 30 k"},
		{"below zero", Axis{}, -10, 10, "-10 -5 0 5 10"},
		{"fixed", Axis{Ticks: []Tick{{3, "three"}}}, 0, 5, "three"},
		{"decades", Axis{Log: true}, 0.3, 30, "0.5 1 2 5 10 20"},
		{"many decades", Axis{Log: true}, 0.01, 1000, "0.01 0.1 1 10 100 1000"},
		{"percentiles", Percentiles(), 0, 3, "0 50 90 99 99.9 99.99 99.999 99.9999"},
	}
	for _, tt := range tests {
		var got []string
		for _, tick := range ticker(tt.axis).Ticks(tt.low, tt.high) {
			if !tick.IsMinor() {
				got = append(got, tick.Label)
			}
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, s, tt.want)
		}
	}
}

func TestPercentile(t *testing.T) {
	for share, want := range map[float64]float64{0: 0, 0.9: 1, 0.99: 2, 0.999: 3} {
		if got := Percentile(share); math.Abs(got-want) > 1e-9 {
			t.Errorf("%v stands at %v, want %v", share, got, want)
		}
	}
}

// elements returns the attributes of all elements of a name.
func elements(t *testing.T, svg, name string) (list []map[string]string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := d.Token()
		if err == io.EOF {
			return list
		}
		if err != nil {
			t.Fatalf("%v in %s", err, svg)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == name {
			m := make(map[string]string)
			for _, a := range e.Attr {
				m[a.Name.Local] = a.Value
			}
			list = append(list, m)
		}
	}
}

// A point stands where its axes say: in the corners of the frame, and above what is smaller.
func TestSVG(t *testing.T) {
	svg := Chart{Label: `a "chart" <&>`, X: Axis{Label: "x", Min: F(0), Max: F(10)}, Y: Axis{Label: "y", Min: F(0), Max: F(1)}, Width: 300, Height: 200,
		Bands: []Band{{From: 2, To: 4, Class: "band", Title: "a <step>"}}, Limits: []Limit{{Y: 0.5, Title: "limit"}},
		Series: []Series{{Class: "one", Dots: 3, Points: []Point{{X: 0, Y: 0, Title: "low"}, {X: 10, Y: 1, Class: "other"}}}}}.SVG()
	dots := elements(t, svg, "circle")
	if len(dots) != 2 || dots[0]["class"] != "fill one" || dots[1]["class"] != "fill other" || dots[1]["cx"] != "295" || dots[1]["cy"] != "5" {
		t.Errorf("dots %v; want the second in the upper right corner, half a label from the edges", dots)
	}
	var lines []string
	for _, p := range elements(t, svg, "path") {
		lines = append(lines, p["class"])
	}
	for _, want := range []string{"stroke frame", "stroke grid", "stroke limit", "stroke one", "fill band"} {
		if !slices.Contains(lines, want) {
			t.Errorf("no %q in %q", want, lines)
		}
	}
	for _, want := range []string{"<title>low</title>", "<title>a &lt;step&gt;</title>", `aria-label="a &#34;chart&#34; &lt;&amp;&gt;"`} {
		if !strings.Contains(svg, want) {
			t.Errorf("no %q in %s", want, svg)
		}
	}
	if y := regexp.MustCompile(`rotate\(-90 [^>]*>y<`).FindString(svg); y == "" {
		t.Errorf("the label of y does not read upwards: %s", svg)
	}
}

// What cannot be drawn is left out, and leaves a drawing.
func TestSVGOfLittle(t *testing.T) {
	for name, c := range map[string]Chart{
		"nothing":      {},
		"one point":    {Series: []Series{{Points: []Point{{X: 3, Y: 3}}}}},
		"one, log":     {X: Axis{Log: true}, Y: Axis{Log: true}, Series: []Series{{Points: []Point{{X: 3, Y: 3}}}}},
		"not a number": {Series: []Series{{Points: []Point{{X: 1, Y: math.NaN()}, {X: 2, Y: 1}, {X: 3, Y: math.Inf(1)}}}}},
	} {
		svg := c.SVG()
		elements(t, svg, "path")
		if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Errorf("%s: %s", name, svg)
		}
	}
}
