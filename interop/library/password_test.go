package library

import (
	"context"
	"crypto/tls"
	"net"

	"github.com/turngate/turngate/harness/lab"
	"github.com/turngate/turngate/proxyconnect"
)

// dialWithPassword connects to target through a proxy that wants a password. trust is for an https
// proxy with a certificate of the company's own; nil means the system's roots.
func dialWithPassword(ctx context.Context, proxy string, trust *tls.Config, user, password, target string) (net.Conn, error) {
	d := &proxyconnect.Dialer{
		Proxy: proxy, // "http://proxy.corp.example:8080"
		TLS:   trust,
		Mechanisms: []proxyconnect.Mechanism{ // in your order, as far as the proxy offers them
			proxyconnect.Digest(user, password),
			proxyconnect.Basic(user, password),
		},
	}
	return d.DialContext(ctx, "tcp", target)
}

func Example_password() {
	ctx, cancel := seconds(20)
	defer cancel()
	for _, proxy := range []string{
		proxyURL(lab.SchemeDigest),
		secureProxyURL(lab.SchemeBasic),
		proxyURL(lab.SchemeBasic),
	} {
		show(dialWithPassword(ctx, proxy, corp.ClientTLS, corp.User.Name, corp.User.Password, corp.TURN.TCP))
	}
	// Output:
	// Digest after 2 requests
	// Basic after 2 requests
	// Basic would send the password in the clear to an http proxy
}
