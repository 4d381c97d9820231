package proxyconnect

import (
	"fmt"
	"net"
	"net/http"
	"net/textproto"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// connectRequest builds the request up to the place of Proxy-Authorization.
func connectRequest(target string, extra http.Header, alpn []string) (string, error) {
	host, port, err := net.SplitHostPort(target)
	if err != nil || host == "" || port == "" || strings.ContainsFunc(target, notInTarget) {
		return "", fmt.Errorf("target %q: want host:port, an IPv6 address in brackets, a name in ASCII", target)
	}
	authority := net.JoinHostPort(host, port)
	var b strings.Builder
	// Proxy-Connection is what HTTP/1.0-minded proxies look at to keep the connection between legs.
	fmt.Fprintf(&b, "CONNECT %s HTTP/1.1\r\nHost: %s\r\nProxy-Connection: Keep-Alive\r\n", authority, authority)
	if len(alpn) > 0 {
		fmt.Fprintf(&b, "ALPN: %s\r\n", strings.Join(alpnValues(alpn), ", "))
	}
	if err := writeExtra(&b, extra); err != nil {
		return "", err
	}
	return b.String(), nil
}

func notInTarget(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune(`/?#@"<>\^{|}`+"`", r)
}

// alpnValues percent-encodes what is no token character (RFC 7639 section 2.2).
func alpnValues(protocols []string) (values []string) {
	for _, p := range protocols {
		var b strings.Builder
		for i := range len(p) {
			if isTokenChar(p[i]) && p[i] != '%' {
				b.WriteByte(p[i])
			} else {
				fmt.Fprintf(&b, "%%%02X", p[i])
			}
		}
		values = append(values, b.String())
	}
	return values
}

func writeExtra(b *strings.Builder, extra http.Header) error {
	for name, values := range extra {
		switch name = textproto.CanonicalMIMEHeaderKey(name); name {
		case "Host", "Proxy-Authorization", "Proxy-Connection", "Content-Length", "Transfer-Encoding", "Alpn":
			return fmt.Errorf("header field %s is not the caller's to set", name)
		}
		for _, v := range values {
			if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(v) {
				return fmt.Errorf("header field %q does not fit into HTTP", name)
			}
			fmt.Fprintf(b, "%s: %s\r\n", name, v)
		}
	}
	return nil
}

// validCredentials keeps line ends, which a user name may contain, out of the request.
func validCredentials(s string) bool { return httpguts.ValidHeaderFieldValue(s) }
