package proxyfind

import (
	"net"
	"strconv"
	"strings"
)

// A Kind is the first word of a directive.
type Kind string

// The kinds of way. SOCKS proxies are not used here.
const (
	Proxy  Kind = "PROXY"  // an HTTP proxy
	HTTPS  Kind = "HTTPS"  // an HTTP proxy behind TLS
	SOCKS  Kind = "SOCKS"  // also SOCKS4 and SOCKS5
	Direct Kind = "DIRECT" // no proxy
)

// kinds are the words of a PAC file's answer. HTTP is Firefox's word for PROXY.
var kinds = map[string]struct {
	kind Kind
	port string // default
}{
	"PROXY": {Proxy, "80"}, "HTTP": {Proxy, "80"}, "HTTPS": {HTTPS, "443"},
	"SOCKS": {SOCKS, "1080"}, "SOCKS4": {SOCKS, "1080"}, "SOCKS5": {SOCKS, "1080"},
}

// A Way is one directive: how to reach the target.
type Way struct {
	Kind Kind   `json:"kind"`
	Host string `json:"host,omitempty"` // without brackets
	Port string `json:"port,omitempty"`
}

// String is the directive as a PAC file would write it.
func (w Way) String() string {
	if w.Kind == Direct {
		return string(Direct)
	}
	return string(w.Kind) + " " + w.Address()
}

// Address is host:port, "" for DIRECT.
func (w Way) Address() string {
	if w.Host == "" {
		return ""
	}
	return net.JoinHostPort(w.Host, w.Port)
}

// URL is the proxy's, "" for DIRECT and SOCKS.
func (w Way) URL() string {
	switch w.Kind {
	case Proxy:
		return "http://" + w.Address()
	case HTTPS:
		return "https://" + w.Address()
	}
	return ""
}

// maxWays bounds what is taken of a PAC file's answer.
const maxWays = 16

// parseWays reads the answer of FindProxyForURL: directives between semicolons. What it does not
// understand it leaves out, as browsers do, and returns beside.
func parseWays(answer string) (ways []Way, ignored []string) {
	for text := range strings.SplitSeq(answer, ";") {
		text = strings.TrimSpace(text)
		switch way, ok := parseWay(text); {
		case text == "" || len(ways) == maxWays:
		case ok:
			ways = append(ways, way)
		case len(ignored) < maxWays:
			ignored = append(ignored, clip(text))
		}
	}
	return ways, ignored
}

func parseWay(text string) (w Way, ok bool) {
	words := strings.Fields(text)
	if len(words) == 1 && strings.EqualFold(words[0], string(Direct)) {
		return Way{Kind: Direct}, true
	}
	if len(words) != 2 {
		return w, false
	}
	known, ok := kinds[strings.ToUpper(words[0])]
	if !ok {
		return w, false
	}
	host, port, ok := splitAddress(words[1], known.port)
	return Way{known.kind, host, port}, ok
}

// splitAddress reads host, host:port, [v6] and [v6]:port.
func splitAddress(text, defaultPort string) (host, port string, ok bool) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		if host, port, err = net.SplitHostPort(text + ":" + defaultPort); err != nil {
			return "", "", false
		}
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || !plausibleHost(host) {
		return "", "", false
	}
	return host, strconv.FormatUint(n, 10), true
}

// plausibleHost tells whether a host can stand in a URL as it is.
func plausibleHost(host string) bool {
	if ip := net.ParseIP(host); ip != nil {
		return true
	}
	return host != "" && len(host) <= 253 && !strings.ContainsFunc(host, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_')
	})
}

// maxText bounds what is kept of a script's or server's text.
const maxText = 200

// clip makes one short printable line of a text that is not ours.
func clip(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case r < ' ' || r > '~':
			return -1
		}
		return r
	}, text)
	if len(text) > maxText {
		text = text[:maxText-3] + "..."
	}
	return text
}
