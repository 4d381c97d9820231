package diagnosis

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/turngate/turngate/proxyconnect"
)

// products are recognised by a text in one of the fields that name one; the first wins.
var products = []struct{ text, name string }{
	{"squid", "Squid"}, {"tinyproxy", "tinyproxy"}, {"zscaler", "Zscaler"}, {"bluecoat", "ProxySG"}, {"proxysg", "ProxySG"},
	{"mcafee", "McAfee Web Gateway"}, {"cisco-wsa", "Cisco WSA"}, {"fortigate", "FortiGate"}, {"apache-coyote", "Tomcat"},
	{"apachetrafficserver", "Apache Traffic Server"}, {"apache", "Apache"}, {"envoy", "Envoy"}, {"haproxy", "HAProxy"},
	{"nginx", "nginx"}, {"turngate", "turngate"},
}

const maxEvidence = 80 // bytes of a peer's header field that a report repeats

// recognise names the proxy by its own word.
func recognise(h http.Header) (product, evidence string) {
	if v := h.Get("X-Squid-Error"); v != "" {
		return "Squid", "X-Squid-Error: " + clip(v)
	}
	for _, field := range []string{"Proxy-Agent", "Server", "Via"} {
		text := strings.Join(h.Values(field), ", ")
		for _, p := range products {
			if strings.Contains(strings.ToLower(text), p.text) {
				return p.name, field + ": " + clip(text)
			}
		}
	}
	return "", ""
}

// clip bounds what a peer can put into a report, and makes it one printable line.
func clip(s string) string {
	if len(s) > maxEvidence {
		s = s[:maxEvidence]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f {
			return -1
		}
		return r
	}, s)
}

// answerOf is the proxy's last answer; nil where it gave none.
func answerOf(ce *proxyconnect.ConnectError) *Answer {
	if ce.Status == 0 {
		return nil
	}
	a := &Answer{Status: ce.Status, Reason: clip(ce.Reason)}
	for _, scheme := range ce.Offered[:min(len(ce.Offered), 16)] {
		a.Offered = append(a.Offered, clip(scheme))
	}
	a.Product, a.Evidence = recognise(ce.Header)
	a.Squid, _, _ = strings.Cut(clip(ce.Header.Get("X-Squid-Error")), " ")
	a.HTML = strings.HasPrefix(strings.ToLower(ce.Header.Get("Content-Type")), "text/html")
	// The rest of the address may hold a ticket for the login page.
	if u, err := url.Parse(ce.Header.Get("Location")); err == nil {
		a.Location = clip(u.Host)
	}
	return a
}
