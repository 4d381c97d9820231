// Package ntlm answers an HTTP proxy's NTLM challenges with NTLMv2: the client's half of MS-NLMP,
// raw (scheme NTLM, or inside Negotiate) or wrapped in SPNEGO (scheme Negotiate).
//
//	c := &ntlm.Client{User: `CORP\alice`, Password: password}
//	e, err := c.Begin("proxy.corp.example", channelBinding)
//	first, err := e.Next(ctx, "")             // Proxy-Authorization: NTLM <first>
//	second, err := e.Next(ctx, challenge)     // the 407 said Proxy-Authenticate: NTLM <challenge>
//
// The response itself comes from github.com/Azure/go-ntlmssp. This package adds what proxies and
// domains have come to demand beside it: the message integrity code, the service's name, the
// channel binding to an https proxy (Extended Protection for Authentication), and SPNEGO.
//
// It does not speak NTLMv1 or LM, send anonymous logons, use the logon session of the operating
// system, or sign and seal messages after the handshake. It reads and writes no connections.
package ntlm
