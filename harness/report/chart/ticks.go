package chart

import (
	"fmt"
	"math"
	"strconv"

	"gonum.org/v1/plot"
)

// ticker chooses the ticks of an axis.
func ticker(a Axis) plot.Ticker {
	switch {
	case a.Ticks != nil:
		var list plot.ConstantTicks
		for _, t := range a.Ticks {
			list = append(list, plot.Tick{Value: t.Value, Label: t.Label})
		}
		return list
	case a.Log:
		return plot.TickerFunc(logTicks)
	}
	return plot.TickerFunc(linearTicks)
}

// linearTicks are about five round ones, a step of 1, 2 or 5 times a power of ten apart.
func linearTicks(low, high float64) (list []plot.Tick) {
	step := math.Pow(10, math.Floor(math.Log10((high-low)/5)))
	for _, times := range []float64{1, 2, 5, 10} {
		if (high-low)/(step*times) <= 6 {
			step *= times
			break
		}
	}
	for n := math.Ceil(low/step - 1e-9); n*step <= high+step*1e-9; n++ {
		list = append(list, plot.Tick{Value: n * step, Label: Number(n * step)})
	}
	return list
}

// logTicks are 1, 2 and 5 of each decade if these are few, else the powers of ten, with marks between.
func logTicks(low, high float64) (list []plot.Tick) {
	few := math.Log10(high/low) < 3
	for e := math.Floor(math.Log10(low)); e <= math.Ceil(math.Log10(high)); e++ {
		for m := 1.0; m < 10; m++ {
			v := m * math.Pow(10, e)
			if v < low*(1-1e-9) || v > high*(1+1e-9) {
				continue
			}
			t := plot.Tick{Value: v}
			if m == 1 || few && (m == 2 || m == 5) {
				t.Label = Number(v)
			}
			list = append(list, t)
		}
	}
	return list
}

// Number prints a value as an axis has it: short, with k and M from ten thousand on.
func Number(v float64) string {
	switch a := math.Abs(v); {
	case a < 1e-12:
		return "0"
	case a >= 1e7:
		return trim(v/1e6) + " M"
	case a >= 1e4:
		return trim(v/1e3) + " k"
	}
	return trim(v)
}

func trim(v float64) string {
	short, err := strconv.ParseFloat(fmt.Sprintf("%.6g", v), 64)
	if err != nil {
		return fmt.Sprintf("%g", v)
	}
	return strconv.FormatFloat(short, 'f', -1, 64)
}

// Percentile is where a share (0 to below 1) stands on an axis of percentiles, on which each nine is
// as wide as the one before.
func Percentile(share float64) float64 { return -math.Log10(1 - share) }

// Percentiles is the axis for Percentile.
func Percentiles() Axis {
	a := Axis{Label: "percentile", Min: F(0)}
	for _, p := range []struct {
		share float64
		label string
	}{{0, "0"}, {0.5, "50"}, {0.9, "90"}, {0.99, "99"}, {0.999, "99.9"}, {0.9999, "99.99"}, {0.99999, "99.999"}, {0.999999, "99.9999"}} {
		a.Ticks = append(a.Ticks, Tick{Percentile(p.share), p.label})
	}
	return a
}
