package report

import (
	"bytes"
	"encoding/xml"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	nethtml "golang.org/x/net/html"

	"github.com/turngate/turngate/harness/measure"
)

func htmlOf(t *testing.T, r measure.Record) string {
	t.Helper()
	var b bytes.Buffer
	if err := RecordHTML(&b, r); err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("TURNGATE_LOOK"); dir != "" { // to be looked at
		if err := os.WriteFile(dir+"/"+strings.ReplaceAll(t.Name(), "/", "-")+".html", b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// The page says all that the record holds.
func TestHTML(t *testing.T) {
	got := htmlOf(t, sampleRecord())
	for _, want := range []string{
		"2000 users need 21 proxies", "measured capacity (decides)", "a fifth of Microsoft&#39;s 100 ms", "RFC 6716, Opus",
		"560 calls at the same time: 2000 users who make 1.5 calls", "500 erlangs", "confirmed in 3 of 3", "CPU of the proxy&#39;s one process", "Not significant, and so not shown: Mbit/s",
		"40 calls, confirmed", "CONNECT request 3", "computing credentials", "not measured", "Squid: client http requests per s", "Squid: fds max 16384", "Example CPU",
		"its cache manager refused", "seed 42", "Foretold before it was measured, for 20 calls of audio", "-2.4 %", "are enough for 6600 calls", "At most 180 of 16384", `aria-label="delay by percentile, up"`, "<title>40 calls: p50",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if strings.Contains(got, "Partial") {
		t.Error("the page says that the run is partial")
	}
}

// What is empty is left out, whatever little a record holds.
func TestHTMLOfLittle(t *testing.T) {
	for name, r := range map[string]measure.Record{
		"nothing": {Verdict: measure.Void},
		"partial": {Verdict: measure.Void, Partial: true, Reasons: []string{"the run was interrupted: interrupt"}, Steps: []measure.Step{sampleStep("direct, 1 call", "baseline", 1, 0, 1, 0, measure.Pass)}},
		"empty step": {Verdict: measure.Fail, Steps: []measure.Step{{Name: "x", Up: measure.Flow{Delay: measure.NewLatency()}, Down: measure.Flow{Delay: measure.NewLatency()},
			Generator: measure.Generator{Lateness: measure.NewLatency()}, Tunnels: measure.Tunnels{Causes: map[string]int{"refused": 3}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			got := htmlOf(t, r)
			if r.Partial != strings.Contains(got, "<strong>Partial.</strong>") {
				t.Errorf("partial is %v, the page says otherwise", r.Partial)
			}
			if strings.Contains(got, "NaN") || strings.Contains(got, "Inf") {
				t.Error("a figure is not a number")
			}
		})
	}
}

// What peers say cannot become markup, nor can the page load or run anything.
func TestHTMLHostile(t *testing.T) {
	const evil = `"><script>alert(1)</script><img src=http://evil.example/ onerror=alert(1)>`
	r := sampleRecord()
	r.Path.Product, r.Path.Proxy, r.Profile.Name, r.Reasons, r.Unknown, r.Size.Sentence = evil, evil, evil, []string{evil}, []string{evil}, evil
	r.Size.Constraints[0].Name, r.Size.Model[0].Name, r.Objectives[0].Source = evil, evil, evil
	r.Steps[1].Name, r.Steps[1].Verdict, r.Steps[1].Tunnels.Causes = evil, evil, map[string]int{evil: 1}
	r.Steps[6].Setup[0].Name, r.Steps[6].Streams[0].Name = evil, evil
	for i := range r.Rows {
		r.Rows[i].Values[evil] = float64(i)
	}
	got := htmlOf(t, r)
	for z := nethtml.NewTokenizer(strings.NewReader(got)); z.Next() != nethtml.ErrorToken; {
		token := z.Token()
		if token.Type != nethtml.StartTagToken && token.Type != nethtml.SelfClosingTagToken {
			continue
		}
		if slices.Contains([]string{"script", "img", "link", "iframe", "object", "embed", "a", "form", "image", "use"}, token.Data) {
			t.Errorf("the page holds %s", token)
		}
		for _, a := range token.Attr {
			if strings.HasPrefix(a.Key, "on") || slices.Contains([]string{"src", "href", "style", "srcset"}, a.Key) {
				t.Errorf("the page holds %s", token)
			}
		}
	}
	if strings.Contains(style, "url(") || strings.Contains(style, "@import") {
		t.Error("the style asks for something else")
	}
	if !strings.Contains(got, "default-src &#39;none&#39;; style-src &#39;sha256-") {
		t.Error("the policy is missing")
	}
}

// Every drawing is well-formed, and in classes that the style knows.
func TestHTMLDrawings(t *testing.T) {
	got := htmlOf(t, sampleRecord())
	svgs := regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(got, -1)
	if len(svgs) < 12 {
		t.Fatalf("%d drawings", len(svgs))
	}
	for _, svg := range svgs {
		d := xml.NewDecoder(strings.NewReader(svg))
		for {
			token, err := d.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%v in\n%s", err, svg)
			}
			e, ok := token.(xml.StartElement)
			if !ok {
				continue
			}
			for _, a := range e.Attr {
				for _, class := range strings.Fields(a.Value) {
					if a.Name.Local == "class" && !strings.Contains(style, "."+class) {
						t.Errorf("class %s has no style", class)
					}
				}
			}
		}
	}
}

func TestHeadline(t *testing.T) {
	step := func(calls int, v measure.Verdict) measure.Step { return sampleStep("x", "load", calls, 0, 1, 0.001, v) }
	tests := []struct {
		name string
		r    measure.Record
		want string
	}{
		{"pass", measure.Record{Verdict: measure.Pass, Steps: []measure.Step{step(5, measure.Pass), step(9, measure.Pass)}},
			"The proxy carries 9 calls of audio within every objective: it adds 3.0 ms of delay at the 95th percentile, and 0.10 % of the packets come too late."},
		{"fail", measure.Record{Verdict: measure.Fail, Steps: []measure.Step{step(5, measure.Pass), step(9, measure.Fail)}}, "The proxy does not carry 9 calls of audio within the objectives."},
		{"void", measure.Record{Verdict: measure.Void, Steps: []measure.Step{step(5, measure.Void)}}, "Nothing can be said about the proxy from this run."},
		{"half void", measure.Record{Verdict: measure.Void, Steps: []measure.Step{step(1, measure.Pass), step(5, measure.Void)}}, "This run as a whole could not be judged; 1 of its 2 steps passed."},
		{"nothing", measure.Record{Verdict: measure.Void}, "Nothing can be said about the proxy from this run."},
		{"size", sampleRecord(), sampleRecord().Size.Sentence},
	}
	for _, tt := range tests {
		tt.r.Profile.Name = "audio"
		if got := headline(tt.r); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// What a sizing has found is quoted with the figures of the step that found it.
func TestFiguresOfTheCapacity(t *testing.T) {
	step := func(kind string, calls int, v measure.Verdict) measure.Step {
		return sampleStep("x", kind, calls, 0, 1, 0.001, v)
	}
	steps := []measure.Step{step("search", 8, measure.Pass), step("search", 16, measure.Pass), step("confirm", 32, measure.Void), step("model", 16, measure.Pass)}
	r := measure.Record{Steps: steps, Size: &measure.Size{Capacity: 16, Confirmed: "0 of 0"}}
	if got := reference(r); got != &steps[1] {
		t.Errorf("got the figures of %d calls, %s, want those of 16 calls that passed", got.Calls, got.Kind)
	}
	if got := htmlOf(t, r); !strings.Contains(got, "not confirmed, there was no time") {
		t.Error("the page does not say that the capacity is not confirmed")
	}
}

// The values of a merged record's parts are lines of one chart.
func TestHTMLOfParts(t *testing.T) {
	r := sampleRecord()
	for i := range r.Rows {
		at := float64(i)
		r.Rows[i].Values = map[string]float64{"calls": at, "part 1/2: tcp.rtt_ms_mean": at, "part 2/2: tcp.rtt_ms_mean": 2 * at, "part 2/2: tcp.unsent_bytes_max": 7e6}
	}
	var b bytes.Buffer
	if err := RecordHTML(&b, r); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]int{`aria-label="Our sockets: rtt ms mean over time"`: 1, "</i>part 1/2</": 1, "</i>part 2/2</": 1, "Our sockets: unsent bytes max, part 2/2: 7000000": 1} {
		if n := strings.Count(b.String(), text); n != want {
			t.Errorf("%q stands there %d times, want %d", text, n, want)
		}
	}
}
