package sizing

import (
	"errors"
	"fmt"
	"strings"

	"gonum.org/v1/gonum/mat"
)

// A DesignError says that the steps cannot tell the terms of the cost model apart.
type DesignError struct {
	Missing []string // steps that would help, in words
}

func (e *DesignError) Error() string {
	return "sizing: the steps cannot tell what costs CPU: " + strings.Join(e.Missing, "; ")
}

// minPoints leaves two degrees of freedom to judge five terms by.
const minPoints = nTerms + 2

// missing says for each pair of terms that move together which step would part them.
var missing = map[[2]int]string{
	{idle, mbps}:        "no step has less than the full bit rate",
	{idle, writes}:      "no step has fewer writes",
	{idle, connects}:    "no step is without new CONNECTs",
	{idle, tunnels}:     "no step is without tunnels (measure the idle proxy)",
	{mbps, writes}:      "no two steps have the same Mbit/s in packets of different size (say 200 and 1200 bytes)",
	{mbps, connects}:    "no step has CONNECTs without traffic (churn only)",
	{mbps, tunnels}:     "no step varies tunnels without traffic (idle tunnels only)",
	{writes, connects}:  "no step has CONNECTs without traffic (churn only)",
	{writes, tunnels}:   "no step varies tunnels without traffic (idle tunnels only)",
	{connects, tunnels}: "no step varies tunnels without new CONNECTs (tunnels that stay open)",
}

// Collinear are terms of a condition index above 30 that share more than half of their variance.
// Source: Belsley, Kuh and Welsch, Regression Diagnostics (1980), section 3.2.
const (
	maxCondition = 30
	maxShare     = 0.5
)

// checkDesign looks at the loads only, not at what they cost.
func checkDesign(points []Point) error {
	if len(points) < minPoints {
		return &DesignError{[]string{fmt.Sprintf("there are %d steps, and at least %d are needed", len(points), minPoints)}}
	}
	if absent := absentTerms(points); len(absent) > 0 {
		return &DesignError{absent}
	}
	x, _ := weighted(points, 1<<nTerms-1)
	normalize(x)
	var svd mat.SVD
	if !svd.Factorize(x, mat.SVDThin) {
		return errors.New("sizing: the steps' loads could not be decomposed")
	}
	if parts := together(&svd); len(parts) > 0 {
		return &DesignError{parts}
	}
	return nil
}

func absentTerms(points []Point) (absent []string) {
	var seen [nTerms]bool
	for _, p := range points {
		for j, v := range p.row() {
			seen[j] = seen[j] || v > 0
		}
	}
	for j, ok := range seen {
		if !ok {
			absent = append(absent, "no step has any "+termNames[j])
		}
	}
	return absent
}

// together finds terms that move together, by the decomposition of their variances.
func together(svd *mat.SVD) (found []string) {
	values := svd.Values(nil)
	var v mat.Dense
	svd.VTo(&v)
	for k, s := range values {
		if s*maxCondition >= values[0] {
			continue
		}
		found = append(found, apart(sharing(&v, values, k))...)
	}
	return unique(found)
}

// sharing lists the terms that have more than half of their variance in one component.
func sharing(v *mat.Dense, values []float64, k int) (terms []int) {
	least := values[0] * 1e-12 // a component of nothing at all has all the variance
	part := func(j, k int) float64 {
		r := v.At(j, k) / max(values[k], least)
		return r * r
	}
	for j := range nTerms {
		sum := 0.0
		for i := range values {
			sum += part(j, i)
		}
		if part(j, k) > maxShare*sum {
			terms = append(terms, j)
		}
	}
	return terms
}

// apart says which steps would part terms. Idle moves with every term that hardly varies, so it is
// named only if nothing else is.
func apart(terms []int) (found []string) {
	for a, i := range terms {
		for _, j := range terms[a+1:] {
			if i != idle || len(terms) == 2 {
				found = append(found, missing[[2]int{i, j}])
			}
		}
	}
	if len(found) == 0 {
		found = []string{"the loads of the steps are too much alike"}
	}
	return found
}

// unique keeps the first of each.
func unique(list []string) (kept []string) {
	seen := make(map[string]bool)
	for _, s := range list {
		if !seen[s] {
			kept = append(kept, s)
		}
		seen[s] = true
	}
	return kept
}
