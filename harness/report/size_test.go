package report

import (
	"strings"
	"testing"

	"github.com/turngate/turngate/harness/measure"
)

func TestSizeText(t *testing.T) {
	s := &measure.Size{
		Sentence: "700 calls at a time need 11 proxies.", Why: []string{"search: 128 calls: slow", "the proxy took 0.98 cores"},
		Constraints: []measure.Constraint{
			{Name: "CPU", Unit: "cores", PerProxy: 1, Needed: 3.0921, Headroom: 0.7, Proxies: 5, Binding: true, Basis: "cost model"},
			{Name: "descriptors", Unit: "descriptors", PerProxy: 20, Needed: 1400, Headroom: 0.7, Basis: "2 per tunnel"},
		},
		Formula: "cores = 2e-05 writes/s", ModelR2: 0.99,
		Model:      []measure.Term{{Name: "idle"}, {Name: "writes/s", Cores: 2e-5, StdErr: 1e-6, Shown: true}},
		Validation: &measure.Validation{Mix: "60 calls", Predicted: 0.5, Low: 0.4, High: 0.6, Measured: []float64{0.4, 0.5}},
	}
	var b strings.Builder
	sizeText(&b, s)
	for _, want := range []string{
		"\n700 calls at a time need 11 proxies.\n", "what gave way:\n  search: 128 calls: slow\n  the proxy took 0.98 cores\n",
		"3.09 cores        1            70 %          5 <-", "1400 descriptors  20           70 %          no number",
		"(R2 0.990): cores = 2e-05 writes/s\n  writes/s     2e-05 cores, standard error 1e-06\n  not significant: idle\n",
		"60 calls:\n  0.500 cores (95 % between 0.400 and 0.600)", "1. 0.400 cores: the prediction is off by +25.0 %", "2. 0.500 cores: the prediction is off by +0.0 %",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
	b.Reset()
	if sizeText(&b, &measure.Size{Sentence: "no"}); b.String() != "\nno\n" {
		t.Errorf("of nothing but a sentence: %q", b.String())
	}
}
