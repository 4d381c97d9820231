// Package proxyconnect dials TCP connections through an HTTP proxy with CONNECT (RFC 9110 section
// 9.3.6), answering the proxy's authentication challenges on the way.
//
//	d := &proxyconnect.Dialer{
//		Proxy:      "http://proxy.corp.example:8080",
//		Mechanisms: []proxyconnect.Mechanism{proxyconnect.Digest(user, password), proxyconnect.Basic(user, password)},
//	}
//	conn, err := d.DialContext(ctx, "tcp", "turn.example.com:443")
//
// It does not find the proxy (PAC, WPAD, environment), does not pool connections, and does not ask
// for passwords. NTLM and Kerberos come from the packages beside it, ntlm and kerberos.
package proxyconnect
