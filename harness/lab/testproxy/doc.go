// Package testproxy is an HTTP proxy for CONNECT that verifies credentials for real, counts what it
// verified, and plays the faults of real proxies on request.
//
//	p := &testproxy.Proxy{
//		Schemes: []testproxy.Scheme{testproxy.Basic("lab", check)},
//		Faults:  []testproxy.Fault{testproxy.MustFault("407.close")},
//	}
//	if err := p.Start(); err != nil { ... }
//	defer p.Close()
//	// CONNECT through p.URL(), then look at p.Rejected("Basic", "alice") and p.Records()
//
// Basic and Digest are built in; NTLM and Kerberos come in through the Handshake interface, which
// names only standard types. Every fault stands in one table, see Faults and ParseFault.
//
// It serves tests and labs on loopback: it forwards nothing but CONNECT, does not cache, does not
// speak HTTP/2, and trusts its AllowTarget to keep it from reaching what it should not.
package testproxy
