package testproxy

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// insteadFaults answer a request instead of the proxy, before it has looked at the credentials.
var insteadFaults = []faultSpec{
	{FaultInfo{"403", "", 1, "403 to every request, before any 407"},
		instead(func(*exchange) bool { return true }, http.StatusForbidden)},
	{FaultInfo{"ssl-ports", "443", 1, "403 before any 407 for CONNECT to other ports than these (443+5349), as Squid's SSL_ports"}, makeSSLPorts},
	{FaultInfo{"403.ip-target", "", 2, "403 for targets given as an address"},
		instead(func(x *exchange) bool { return net.ParseIP(x.targetHost()) != nil }, http.StatusForbidden)},
	{FaultInfo{"403.no-user-agent", "", 16, "403 for requests without User-Agent"},
		instead(func(x *exchange) bool { return x.req.header.Get("User-Agent") == "" }, http.StatusForbidden)},
	{FaultInfo{"403.alpn", "", 17, "403 for requests with an ALPN field (RFC 7639)"},
		instead(func(x *exchange) bool { return x.req.header.Get("ALPN") != "" }, http.StatusForbidden)},
	{FaultInfo{"431", "8192", 32, "the head of a request may have this many bytes only, 431 above"},
		withNumber(1, 1<<20, func(n int) hooks { return hooks{accepted: func(c *conn) { c.maxHeader = n }} })},
	{FaultInfo{"302", "", 40, "a redirect to a login page"}, always(hooks{request: redirect})},
	{FaultInfo{"511", "", 40, "511 Network Authentication Required (RFC 6585 section 6)"},
		instead(func(*exchange) bool { return true }, http.StatusNetworkAuthenticationRequired)},
	{FaultInfo{"200.login-page", "", 40, "200 with a login page as its body, then the end: no tunnel"}, always(hooks{request: loginPage})},
	{FaultInfo{"503", "", 49, "503 to every request, as when source ports or helpers are exhausted"},
		instead(func(*exchange) bool { return true }, http.StatusServiceUnavailable)},
	{FaultInfo{"407.forever", "", 3, "the bare 407 to every request, whatever its credentials"}, always(hooks{request: func(x *exchange) *response {
		return x.c.challenge(verdict{})
	}})},
	{FaultInfo{"eof", "", 7, "the end of the connection instead of an answer"},
		always(hooks{request: func(x *exchange) *response {
			return &response{raw: []byte{}, hangUp: true, why: "closed without an answer"}
		}})},
	{FaultInfo{"eof.on-credentials", "", 7, "the end of the connection instead of an answer to any request with credentials"}, always(hooks{request: eofOnCredentials})},
	{FaultInfo{"garbage", "", 0, "bytes that are not HTTP instead of an answer"},
		always(hooks{request: func(x *exchange) *response {
			return &response{raw: []byte("\x00\x01SSH-2.0-\xff\xfe not HTTP\r\n\r\n"), hangUp: true, why: "answered with garbage"}
		}})},
	{FaultInfo{"hang", "1m", 0, "no answer for so long, then the end of the connection"},
		withDuration(func(d time.Duration) hooks {
			return hooks{request: func(x *exchange) *response {
				return &response{raw: []byte{}, delay: d, hangUp: true, why: "never answered"}
			}}
		})},
}

// instead answers with an error page where the condition holds.
func instead(when func(x *exchange) bool, status int) func(string) (hooks, error) {
	return always(hooks{request: func(x *exchange) *response {
		if !when(x) {
			return nil
		}
		squid := "ERR_ACCESS_DENIED"
		if status != http.StatusForbidden {
			squid = "ERR_CANNOT_FORWARD"
		}
		return x.c.page(status, squid, fmt.Sprintf("fault: %d before authentication", status))
	}})
}

func makeSSLPorts(arg string) (hooks, error) {
	allowed := strings.Split(arg, "+")
	for _, port := range allowed {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return hooks{}, fmt.Errorf("%q is no port", port)
		}
	}
	return instead(func(x *exchange) bool {
		_, port, err := parseTarget(x.req.target)
		return err == nil && !slices.Contains(allowed, strconv.Itoa(port))
	}, http.StatusForbidden)("")
}

func redirect(x *exchange) *response {
	r := x.c.page(http.StatusFound, "ERR_NONE", "fault: redirect to a login page")
	r.set("Location", "https://login.proxy.example/saml?target="+strings.Repeat("a", 200))
	return r
}

func loginPage(x *exchange) *response {
	page := []byte("<!DOCTYPE html><html><head><title>Sign in</title></head><body><form method=post>Please sign in.</form></body></html>\n")
	return &response{
		raw:    fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(page), page),
		status: http.StatusOK, hangUp: true, why: "fault: 200 with a login page",
	}
}

func eofOnCredentials(x *exchange) *response {
	if x.req.header.Get("Proxy-Authorization") == "" {
		return nil
	}
	return &response{raw: []byte{}, hangUp: true, why: "closed without an answer to credentials"}
}

func (x *exchange) targetHost() string {
	host, _, _ := parseTarget(x.req.target)
	return host
}
