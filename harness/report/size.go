package report

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/turngate/turngate/harness/measure"
)

// sizeText is the answer of turngate size: the sentence, why, each constraint, the cost model.
func sizeText(b *strings.Builder, s *measure.Size) {
	fmt.Fprintf(b, "\n%s\n", s.Sentence)
	for i, w := range s.Why {
		if i == 0 {
			b.WriteString("\nwhat gave way:\n")
		}
		fmt.Fprintf(b, "  %s\n", w)
	}
	if l := s.Logins; l.PerSecond > 0 {
		fmt.Fprintf(b, "tunnels that open per second: %s%.3g, %.3g CONNECTs each; what gave way: %s\n", atLeast(l.AtLeast), l.PerSecond, l.Legs, l.GaveWay)
	}
	constraintsText(b, s.Constraints)
	modelText(b, s)
	validationText(b, s.Validation)
}

func atLeast(bound bool) string {
	if bound {
		return "at least "
	}
	return ""
}

func constraintsText(b *strings.Builder, list []measure.Constraint) {
	if len(list) == 0 {
		return
	}
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nCONSTRAINT\tNEEDED\tA PROXY HAS\tPLANNED WITH\tPROXIES\tBASIS")
	for _, c := range list {
		number := fmt.Sprint(c.Proxies)
		if c.Proxies == 0 {
			number = "no number"
		}
		if c.Binding {
			number += " <-"
		}
		fmt.Fprintf(t, "%s\t%s %s\t%s\t%.0f %%\t%s\t%s\n", c.Name, plain(c.Needed), c.Unit, plain(c.PerProxy), 100*c.Headroom, number, c.Basis)
	}
	t.Flush()
	b.WriteString("proxies without the spare; <- decides\n")
}

func modelText(b *strings.Builder, s *measure.Size) {
	if len(s.Model) == 0 {
		return
	}
	fmt.Fprintf(b, "\nwhat a load costs the proxy in CPU (R2 %.3f): %s\n", s.ModelR2, s.Formula)
	var hidden []string
	for _, t := range s.Model {
		if t.Shown {
			fmt.Fprintf(b, "  %-12s %.3g cores, standard error %.1g\n", t.Name, t.Cores, t.StdErr)
		} else {
			hidden = append(hidden, t.Name)
		}
	}
	if len(hidden) > 0 {
		fmt.Fprintf(b, "  not significant: %s\n", strings.Join(hidden, ", "))
	}
}

func validationText(b *strings.Builder, v *measure.Validation) {
	if v == nil {
		return
	}
	fmt.Fprintf(b, "\npredicted before it was measured, for %s:\n  %.3f cores (95 %% between %.3f and %.3f)\nmeasured:\n", v.Mix, v.Predicted, v.Low, v.High)
	for i, got := range v.Measured {
		fmt.Fprintf(b, "  %d. %.3f cores: the prediction is off by %+.1f %%\n", i+1, got, 100*(v.Predicted/got-1))
	}
	for _, got := range v.Void {
		fmt.Fprintf(b, "  void: %.3f cores, but the proxy had to wait for a CPU, or the load was not there\n", got)
	}
}
