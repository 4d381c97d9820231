package proxyfind

import (
	"errors"
	"io"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

// Whatever a script says, a way is a URL without surprises, and reads back as itself.
func FuzzDirectives(f *testing.F) {
	for _, seed := range []string{"DIRECT", "PROXY p:8080; HTTPS p", "SOCKS5 [::1]:1", "PROXY a b", ";;", "PROXY p:99999", "PROXY \x00:1", "http p%zz:1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, answer string) {
		ways, ignored := parseWays(answer)
		if len(ways) > maxWays || len(ignored) > maxWays {
			t.Fatalf("%d ways, %d ignored", len(ways), len(ignored))
		}
		for _, way := range ways {
			if again, ok := parseWay(way.String()); !ok || again != way {
				t.Errorf("%v reads back as %v", way, again)
			}
			if u, err := url.Parse(way.URL()); err != nil || way.URL() != "" && (u.Hostname() != way.Host || u.Port() != way.Port || u.User != nil || u.Path != "") {
				t.Errorf("%v has the URL %s: %v", way, way.URL(), err)
			}
		}
		for _, text := range append(ignored, clip(answer)) {
			if len(text) > maxText || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("%q is not one short line", text)
			}
		}
	})
}

// Whatever a child writes, the parent comes to an end, with an answer or an error, and answers no more
// names than the child asked for.
func FuzzChildsOutput(f *testing.F) {
	for _, seed := range []string{
		`{"answer":"DIRECT"}`, `{"lookup":"a.test"}{"answer":""}`, `{"alert":"x"}` + "\n" + `{"fault":{"failure":"script error","line":-3,"text":"x"}}`,
		``, `{`, `null`, `{}`, `{"fault":null}`, `{"answer":1}`, strings.Repeat(`{"lookup":"x"}`, 2000), strings.Repeat("[", 100000),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, output string) {
		asked, alerts := 0, 0
		_, err := converse(strings.NewReader(output), io.Discard, func(string) []netip.Addr { asked++; return nil }, func(string) { alerts++ })
		if asked+alerts > maxMessages {
			t.Errorf("%d lookups, %d alerts", asked, alerts)
		}
		var e *Error
		if errors.As(err, &e) && (e.Line < 0 || len(e.Err.Error()) > maxText) {
			t.Errorf("a fault of %+v", e)
		}
	})
}
