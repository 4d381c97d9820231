// Package kerberos proves to an HTTP proxy who we are with Kerberos, under the scheme Negotiate
// (RFC 4559), from a password, a keytab or a ticket that kinit left, without cgo:
//
//	client, err := kerberos.New(kerberos.Config{User: "alice", Password: password})
//	...
//	exchange, err := client.Begin(ctx, "proxy.example.com", channelBinding)
//	token, err := exchange.Next(ctx, "") // Proxy-Authorization: Negotiate <token>
//	err = exchange.Finish(challenge)     // what the proxy's 2xx response brought, often ""
//
// It talks to KDCs by itself (RFC 4120), follows referrals to other realms (RFC 6806), spends one
// failed pre-authentication on a wrong password and no second one, binds its tokens to the TLS
// channel (RFC 5929), and says in words what a KDC answered (KDCError).
//
// It does no FAST armour, PKINIT, one-time passwords or delegation, reads no KCM, KEYRING, DIR or API
// credential caches, and does not correct for a wrong clock: it says how wrong the clock is.
package kerberos
