package report

import (
	"encoding/json"
	"encoding/xml"
	"strings"
	"testing"
	"time"

	"github.com/turngate/turngate/harness/measure"
	"github.com/turngate/turngate/internal/junit"
)

func sample() Run {
	r := Run{
		Format: 1, Started: time.Date(2026, 11, 22, 22, 0, 0, 0, time.UTC), Seconds: 12.34, Lab: "embedded",
		Condition: Condition{OS: "linux/amd64", CPUs: 2, Load: 0.3, Duration: "600ms", Note: "all on one machine"},
		Cells: []Cell{
			{Name: "ntlm/http-proxy/turn/udp/embedded", Outcome: Pass, Expected: Through, Got: Through, Seconds: 0.6,
				Tunnel:  &Tunnel{Mechanism: "NTLM", Legs: 3, Dials: 1, Phases: []Phase{{"tcp", 0.1}, {"connect", 1.5}, {"allocate", 0.5}}},
				Figures: &Figures{RTT: measure.Summary{Count: 10, P50: 0.2, P99: 0.9}, UpMbps: 500, DownMbps: 400},
				Beside:  &Beside{Baseline: "direct/turn/udp", RTTAdded: 0.05}},
			{Name: "ntlm/http-proxy/turn/udp/embedded/wrong-password", Outcome: Pass, Expected: "rejected", Got: "rejected"},
			{Name: "basic/http-proxy/turn/udp/embedded", Outcome: Fail, Expected: Through, Got: "refused",
				Detail: "the proxy said <no> | `really`", Hint: "ask it", Checks: []Check{{"log", false, "no line"}, {"count", true, "1"}}},
			{Name: "kerberos/http-proxy/turn/udp/embedded", Outcome: Skip, Expected: Through, Detail: "not here"},
		},
	}
	r.Verdict, r.Reason = r.Judge()
	return r
}

func TestJudge(t *testing.T) {
	tests := []struct {
		outcomes []Outcome
		partial  bool
		want     Outcome
	}{
		{[]Outcome{Pass, Pass}, false, Pass},
		{[]Outcome{Pass, Fail, Void}, false, Fail},
		{[]Outcome{Pass, Void}, false, Void},
		{[]Outcome{Pass, Skip}, false, Void},
		{nil, false, Void},
		{[]Outcome{Pass}, true, Void},
		{[]Outcome{Fail}, true, Fail},
	}
	for _, tt := range tests {
		r := Run{Partial: tt.partial}
		for _, o := range tt.outcomes {
			r.Cells = append(r.Cells, Cell{Outcome: o})
		}
		if got, reason := r.Judge(); got != tt.want || got == Void && reason == "" {
			t.Errorf("%v, partial %v: got %s (%s), want %s", tt.outcomes, tt.partial, got, reason, tt.want)
		}
	}
}

func TestText(t *testing.T) {
	const want = `CELL                                              OUTCOME          LEGS  CONNECT  ALLOCATE  RTT p50  p99   ADDED  UP      DOWN
                                                                         ms       ms        ms       ms    ms     Mbit/s  Mbit/s
ntlm/http-proxy/turn/udp/embedded                 pass             3     1.50     0.50      0.20     0.90  +0.05  500     400
ntlm/http-proxy/turn/udp/embedded/wrong-password  pass (rejected)
basic/http-proxy/turn/udp/embedded                fail
kerberos/http-proxy/turn/udp/embedded             skip

FAIL basic/http-proxy/turn/udp/embedded: expected through, got refused
  the proxy said <no> | ` + "`really`" + `
  log: no line
  hint: ask it

SKIP kerberos/http-proxy/turn/udp/embedded: expected through
  not here

FAIL: 2 of 4 cells passed in 12.3 s, 1 fail, 1 skip. linux/amd64, 2 CPUs, load average 0.3 at the start, 600ms of measuring per cell; all on one machine.
`
	var b strings.Builder
	if err := Text(&b, sample()); err != nil || b.String() != want {
		t.Errorf("got %v\n%s\nwant\n%s", err, b.String(), want)
	}
}

func TestJSON(t *testing.T) {
	var b strings.Builder
	if err := JSON(&b, sample()); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Verdict string
		Cells   []struct{ Name, Outcome string }
	}
	if err := json.Unmarshal([]byte(b.String()), &got); err != nil {
		t.Fatal(err)
	}
	if got.Verdict != "fail" || len(got.Cells) != 4 || got.Cells[3].Outcome != "skip" || got.Cells[0].Name == "" {
		t.Errorf("got %+v", got)
	}
	b.Reset()
	if err := JSON(&b, Run{Cells: []Cell{}}); err != nil || !strings.Contains(b.String(), `"cells": []`) {
		t.Errorf("a run without cells: got %v\n%s", err, b.String())
	}
}

func TestJUnit(t *testing.T) {
	var b strings.Builder
	if err := JUnit(&b, sample()); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Suite junit.Suite `xml:"testsuite"`
	}
	if err := xml.Unmarshal([]byte(b.String()), &got); err != nil {
		t.Fatalf("%v in\n%s", err, b.String())
	}
	s := got.Suite
	if s.Tests != 4 || s.Failures != 1 || s.Skipped != 1 || s.Errors != 0 || len(s.Cases) != 4 {
		t.Errorf("got %+v", s)
	}
	if f := s.Cases[2].Failure; f == nil || !strings.Contains(f.Text, "<no>") || !strings.Contains(f.Text, "log: no line") {
		t.Errorf("failure: got %+v", f)
	}
	if s.Cases[0].Failure != nil || s.Cases[3].Skipped == nil || !strings.Contains(b.String(), `<property name="mechanism" value=`) || strings.Contains(b.String(), "<properties></properties>") {
		t.Errorf("cases: got %+v", s.Cases)
	}
}

func TestMarkdown(t *testing.T) {
	var b strings.Builder
	if err := Markdown(&b, sample()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"### turngate matrix: fail\n", "- **fail** `basic/http-proxy/turn/udp/embedded`", "&lt;no> \\| 'really'", "| 0.20 | 0.90 |"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}
