package sizing

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// truth is what a simulated proxy spends.
var truth = [nTerms]float64{0.01, 4e-4, 2e-5, 1.5e-3, 1e-5}

func spend(l Load) (cores float64) {
	for j, v := range l.row() {
		cores += truth[j] * v
	}
	return cores
}

// designed are steps that tell the terms apart.
func designed() []Point {
	var points []Point
	for _, p := range []Point{
		{Name: "nothing"},
		{Name: "idle tunnels", Load: Load{Tunnels: 1000}},
		{Name: "new tunnels", Load: Load{Connects: 60, Tunnels: 10}},
		{Name: "more new tunnels", Load: Load{Connects: 120, Tunnels: 10}},
		{Name: "small packets", Load: Load{Mbps: 12.8, Writes: 8000, Tunnels: 60}},
		{Name: "small packets, half", Load: Load{Mbps: 6.4, Writes: 4000, Tunnels: 60}},
		{Name: "large packets", Load: Load{Mbps: 38, Writes: 4000, Tunnels: 60}},
		{Name: "frames", Load: Load{Mbps: 160, Writes: 4120, Tunnels: 60}},
		{Name: "mixed", Load: Load{Mbps: 19, Writes: 4000, Connects: 30, Tunnels: 60}},
	} {
		p.Cores = spend(p.Load)
		points = append(points, p)
	}
	return points
}

func TestFitExact(t *testing.T) {
	m, err := Fit(designed())
	if err != nil {
		t.Fatal(err)
	}
	for j, term := range m.Terms {
		if math.Abs(term.Cores/truth[j]-1) > 1e-6 || !term.Shown {
			t.Errorf("%s: %v, want %v, shown", term.Name, term.Cores, truth[j])
		}
	}
	if m.R2 < 0.999999 || m.Points != 9 || !strings.HasPrefix(m.String(), "cores = 0.01 + 0.0004 Mbit/s + 2e-05 writes/s") {
		t.Errorf("R2 %v of %d points, %s", m.R2, m.Points, m)
	}
}

// With 5 % of noise the truth is within the standard errors, a prediction within its interval, nearly
// always; a term that costs nothing is not shown, and none is negative.
func TestFitNoisy(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const runs = 200
	mix := Load{Mbps: 100, Writes: 6000, Connects: 15, Tunnels: 50}
	var near, inside, tunnelsShown int
	for range runs {
		points := designed()
		for i := range points {
			points[i].Cores -= truth[tunnels] * points[i].Tunnels // they cost nothing here
			points[i].Cores = math.Max(0, points[i].Cores*(1+0.05*rng.NormFloat64())+0.002*rng.NormFloat64())
		}
		m, err := Fit(points)
		if err != nil {
			t.Fatal(err)
		}
		for _, term := range m.Terms {
			if term.Cores < 0 || math.IsNaN(term.StdErr) {
				t.Fatalf("%+v", term)
			}
		}
		want := spend(mix) - truth[tunnels]*mix.Tunnels
		p := m.Predict(mix)
		if math.Abs(p.Cores/want-1) < 0.1 {
			near++
		}
		if p.Low <= want && want <= p.High {
			inside++
		}
		if m.Terms[tunnels].Shown {
			tunnelsShown++
		}
		if len(p.Beyond) != 0 {
			t.Errorf("beyond %v", p.Beyond)
		}
	}
	if near < runs*95/100 || inside < runs*90/100 || tunnelsShown > runs/10 {
		t.Errorf("of %d runs %d predictions were within 10 %%, %d within the interval; tunnels were shown %d times", runs, near, inside, tunnelsShown)
	}
}

func TestPredictBeyond(t *testing.T) {
	m, err := Fit(designed())
	if err != nil {
		t.Fatal(err)
	}
	if p := m.Predict(Load{Mbps: 500, Tunnels: 100}); len(p.Beyond) != 1 || p.Beyond[0] != "Mbit/s" {
		t.Errorf("beyond %v, want Mbit/s", p.Beyond)
	}
}

// Steps that cannot tell the terms apart are refused, and what is missing is named.
func TestFitDesign(t *testing.T) {
	keep := func(f func(Point) bool) (kept []Point) {
		for _, p := range designed() {
			if f(p) {
				kept = append(kept, p)
			}
		}
		return kept
	}
	ramp := func() (points []Point) {
		for n := 10.0; n <= 100; n += 10 {
			l := Load{Mbps: 2.5 * n, Writes: 170 * n, Connects: n / 10, Tunnels: n}
			points = append(points, Point{Name: "ramp", Load: l, Cores: spend(l)})
		}
		return points
	}
	oneSize := func() []Point {
		points := designed()
		for i := range points {
			points[i].Mbps = points[i].Writes * 600 * 8 / 1e6
		}
		return points
	}
	for _, c := range []struct {
		name   string
		points []Point
		want   string
	}{
		{"too few", designed()[:6], "there are 6 steps, and at least 7 are needed"},
		{"no connects", append(keep(func(p Point) bool { return p.Connects == 0 }), Point{Name: "again", Load: Load{Tunnels: 500}}), "no step has any CONNECTs/s"},
		{"a ramp alone", ramp(), "too much alike"},
		{"packets of one size", oneSize(), "no two steps have the same Mbit/s in packets of different size"},
	} {
		_, err := Fit(c.points)
		var design *DesignError
		if !errors.As(err, &design) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	bad := designed()
	bad[3].Cores = -1
	if _, err := Fit(bad); err == nil || !strings.Contains(err.Error(), `"more new tunnels"`) {
		t.Errorf("negative CPU time: %v", err)
	}
}
