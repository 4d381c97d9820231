package sizing

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/turngate/turngate/harness/measure"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat/distuv"
)

// A Load is what a proxy's CPU time depends on.
type Load struct {
	Mbps     float64 // payload in tunnels, both directions together, Mbit/s
	Writes   float64 // per second, both directions together. The packets of a video frame are written at once, read at once, and cost about what one does: a frame counts once
	Connects float64 // CONNECT requests per second; a scheme with three legs makes three per tunnel
	Tunnels  float64 // open at a time
}

// A Point is one step of a measurement: a load and the CPU that the proxy spent on it.
type Point struct {
	Name string
	Load
	Cores float64 // CPU seconds per second of the proxy with its helpers, averaged over the step

	// Weight is the inverse of the expected variance of Cores; only its ratio to that of other points
	// counts. Default is that of 5 % of the figure and 2 millicores.
	Weight float64
}

// The terms of the model, in the order of Model.Terms.
const (
	idle = iota
	mbps
	writes
	connects
	tunnels
	nTerms
)

var termNames = [nTerms]string{"idle", "Mbit/s", "writes/s", "CONNECTs/s", "tunnels"}

// row is what each term is multiplied by.
func (l Load) row() []float64 { return []float64{1, l.Mbps, l.Writes, l.Connects, l.Tunnels} }

// A Model is cores = a0 + a1 Mbit/s + a2 packets/s + a3 CONNECTs/s + a4 tunnels.
type Model struct {
	// Terms has all five. One that is not Shown does not stand out from the noise (its 95 % interval
	// holds zero): it counts in Predict, and its uncertainty with it, but says nothing by itself.
	Terms  []measure.Term
	R2     float64 // share of the weighted variance that it explains
	Points int     // that it was fitted on

	active     uint            // terms that are in the fit, by bit; the others would be negative
	covariance *mat.Dense      // of the active terms, in their order
	residual   float64         // weighted variance that is left per degree of freedom
	freedom    float64         // degrees of it
	most       [nTerms]float64 // largest value measured
}

// confidence is the level of all intervals and of significance.
const confidence = 0.95

// Fit fits the cost model by weighted least squares with non-negative terms: a term that would be
// negative is left out, and of all ways to leave terms out the one with the smallest residual is
// taken. It wants at least seven points of a design that tells the terms apart, and returns a
// *DesignError that names the missing steps otherwise. Source: the non-negative problem and the active set are Lawson and Hanson, Solving Least Squares Problems
// (1974), chapter 23.
func Fit(points []Point) (*Model, error) {
	for _, p := range points {
		for _, v := range append(p.row(), p.Cores, p.Weight) {
			if v < 0 || math.IsNaN(v) || math.IsInf(v, 0) {
				return nil, fmt.Errorf("sizing: step %q: %v is not a load, CPU time or weight", p.Name, v)
			}
		}
	}
	if err := checkDesign(points); err != nil {
		return nil, err
	}
	var best *Model
	// Five terms have 31 non-empty active sets: trying all is exact and needs no pivoting rule.
	for active := uint(1); active < 1<<nTerms; active++ {
		m := solve(points, active)
		if m != nil && (best == nil || m.residual*m.freedom < best.residual*best.freedom) {
			best = m
		}
	}
	if best == nil {
		return nil, fmt.Errorf("sizing: no cost model with non-negative terms fits the %d steps", len(points))
	}
	best.judge(points)
	return best, nil
}

// Relative and absolute error of a measured CPU figure, for the default weight: repeats of the same
// step differ by about 5 % (the spread that published proxy benchmarks quote), and the clock of
// /proc/PID/stat ticks every 10 ms, which over a step of 5 s is 2 millicores.
const (
	relativeError = 0.05
	absoluteError = 0.002 // cores
)

func (p Point) weight() float64 {
	if p.Weight > 0 {
		return p.Weight
	}
	sigma := relativeError*p.Cores + absoluteError
	return 1 / (sigma * sigma)
}

// columns lists the terms of an active set.
func columns(active uint) (list []int) {
	for j := range nTerms {
		if active>>j&1 == 1 {
			list = append(list, j)
		}
	}
	return list
}

// weighted is the design matrix and the right side, each row times the root of its weight.
func weighted(points []Point, active uint) (*mat.Dense, *mat.VecDense) {
	terms := columns(active)
	x, y := mat.NewDense(len(points), len(terms), nil), mat.NewVecDense(len(points), nil)
	for i, p := range points {
		root, row := math.Sqrt(p.weight()), p.row()
		for k, j := range terms {
			x.Set(i, k, root*row[j])
		}
		y.SetVec(i, root*p.Cores)
	}
	return x, y
}

// solve fits the terms of one active set; nil if one comes out negative.
func solve(points []Point, active uint) *Model {
	x, y := weighted(points, active)
	scales := normalize(x)
	k := bits.OnesCount(active)
	var qr mat.QR
	qr.Factorize(x)
	var a mat.VecDense
	if qr.SolveVecTo(&a, false, y) != nil {
		return nil
	}
	m := &Model{active: active, Points: len(points), freedom: float64(len(points) - k), Terms: make([]measure.Term, nTerms)}
	for j := range m.Terms {
		m.Terms[j].Name = termNames[j]
	}
	for i, j := range columns(active) {
		if a.AtVec(i) < 0 {
			return nil
		}
		m.Terms[j].Cores = a.AtVec(i) / scales[i]
	}
	var rest mat.VecDense
	rest.MulVec(x, &a)
	rest.SubVec(y, &rest)
	m.residual = mat.Dot(&rest, &rest) / m.freedom
	return m.spread(x, scales)
}

// spread computes the covariance of the terms; nil if they cannot be told apart.
func (m *Model) spread(x *mat.Dense, scales []float64) *Model {
	var square, inverse mat.Dense
	square.Mul(x.T(), x)
	if inverse.Inverse(&square) != nil {
		return nil
	}
	inverse.Apply(func(i, j int, v float64) float64 { return m.residual * v / scales[i] / scales[j] }, &inverse)
	m.covariance = &inverse
	return m
}

// normalize divides each column by its length, which it returns.
func normalize(x *mat.Dense) []float64 {
	rows, cols := x.Dims()
	scales := make([]float64, cols)
	for j := range cols {
		scales[j] = mat.Norm(x.ColView(j), 2)
		if scales[j] == 0 {
			scales[j] = 1
		}
		for i := range rows {
			x.Set(i, j, x.At(i, j)/scales[j])
		}
	}
	return scales
}

// judge adds standard errors, significance, R² and the range that was measured.
func (m *Model) judge(points []Point) {
	t := m.quantile()
	for i, j := range columns(m.active) {
		term := &m.Terms[j]
		term.StdErr = math.Sqrt(max(0, m.covariance.At(i, i)))
		term.Shown = term.Cores > 0 && term.Cores > t*term.StdErr
	}
	var weights, mean, total float64
	for _, p := range points {
		weights, mean = weights+p.weight(), mean+p.weight()*p.Cores
		for j, v := range p.row() {
			m.most[j] = max(m.most[j], v)
		}
	}
	mean /= weights
	for _, p := range points {
		total += p.weight() * (p.Cores - mean) * (p.Cores - mean)
	}
	if total > 0 {
		m.R2 = 1 - m.residual*m.freedom/total
	}
}

// quantile is Student's t for a two-sided interval.
func (m *Model) quantile() float64 {
	return distuv.StudentsT{Sigma: 1, Nu: m.freedom}.Quantile((1 + confidence) / 2)
}

// A Prediction is what a model expects of a load.
type Prediction struct {
	Cores     float64
	Low, High float64 // 95 % of measurements of this load lie between, if the model holds

	// Beyond names the terms that are more than 1.2 times the largest that was measured: the model is
	// linear, a proxy need not be. (Rule of thumb, as for the universal scalability law.)
	Beyond []string
}

// Predict returns the CPU that a load is expected to take, in cores, with the prediction interval of
// weighted least squares: the uncertainty of the terms and the noise of one more measurement with the
// default weight.
func (m *Model) Predict(l Load) Prediction {
	row := l.row()
	var p Prediction
	for j, v := range row {
		p.Cores += m.Terms[j].Cores * v
		if v > 1.2*m.most[j] {
			p.Beyond = append(p.Beyond, termNames[j])
		}
	}
	terms := columns(m.active)
	variance := m.residual / Point{Cores: p.Cores}.weight()
	for i, a := range terms {
		for k, b := range terms {
			variance += row[a] * row[b] * m.covariance.At(i, k)
		}
	}
	half := m.quantile() * math.Sqrt(max(0, variance))
	p.Low, p.High = max(0, p.Cores-half), p.Cores+half
	return p
}

// String is the formula with the terms that are shown: "cores = 0.021 + 0.00062 Mbit/s".
func (m *Model) String() string {
	text := ""
	for j, t := range m.Terms {
		switch {
		case !t.Shown:
			continue
		case text != "":
			text += " + "
		}
		text += fmt.Sprintf("%.3g", t.Cores)
		if j != idle {
			text += " " + t.Name
		}
	}
	if text == "" {
		text = "nothing that stands out from the noise"
	}
	return "cores = " + text
}
