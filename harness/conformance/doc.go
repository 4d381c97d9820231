// Package conformance asks a TURN server over TCP or TLS whether it does what the RFCs demand (RFC 8656,
// 8489, 6062), one small test for each demand.
//
//	report, err := conformance.Run(ctx, conformance.Target{
//		Address: "turn.example.com:3478", User: "alice", Password: password,
//	}, conformance.Options{})
//	conformance.Text(os.Stdout, report)
//
// It speaks by itself and reads raw bytes, so that it can send what no library would and see silence. Every
// test has connections and allocations of its own. Where no peer address is given the peer is a second
// allocation on the same server, so that nothing else must be reachable. It does not test clients, UDP or DTLS
// to the server, or how fast a server is.
package conformance
