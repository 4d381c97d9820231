package proxyfind

import (
	"fmt"
	"net"
	"strings"
)

// Allow lists the proxies that credentials may go to though a PAC file or WPAD named them: HOST,
// HOST:PORT, .DOMAIN (and all below), or * for all.
type Allow []string

// Validate tells what is wrong with the list.
func (a Allow) Validate() error {
	for _, pattern := range a {
		host, port := a.split(pattern)
		if _, _, ok := splitAddress("x:"+port, ""); port != "" && !ok {
			return fmt.Errorf("%q: %q is no port", pattern, port)
		}
		if host != "*" && !plausibleHost(strings.TrimPrefix(host, ".")) {
			return fmt.Errorf("%q: want HOST, HOST:PORT, .DOMAIN or *", pattern)
		}
	}
	return nil
}

// Trusts tells whether credentials may go to the proxy of a way: one that the user named, or allowed.
func (f Found) Trusts(w Way, allowed Allow) bool { return f.Named() || allowed.Permits(w) }

// Permits tells whether credentials may go to a proxy.
func (a Allow) Permits(w Way) bool {
	name := strings.ToLower(strings.TrimSuffix(w.Host, "."))
	for _, pattern := range a {
		host, port := a.split(pattern)
		if (port == "" || port == w.Port) && (host == "*" || host == name || strings.HasPrefix(host, ".") && strings.HasSuffix(name, host)) {
			return true
		}
	}
	return false
}

// split takes a pattern apart; no port is any.
func (Allow) split(pattern string) (host, port string) {
	host, port, err := net.SplitHostPort(pattern)
	if err != nil {
		host, port = strings.Trim(pattern, "[]"), ""
	}
	return strings.ToLower(host), port
}
