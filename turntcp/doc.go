// Package turntcp is TURN over TCP and TLS (RFC 8656 over stream transports): a server made for
// port 443 behind proxies, and a lean client that runs over any net.Conn.
//
//	srv, err := turntcp.NewServer(turntcp.Config{
//		Realm:       "example.com",
//		Credentials: turntcp.RESTCredentials(secret),
//		RelayIP:     netip.MustParseAddr("192.0.2.1"),
//	})
//	addr, err := srv.ListenTCP(":3478")
//	defer srv.Close()
//
//	c := turntcp.NewClient(conn, turntcp.ClientConfig{Username: user, Password: password, OnData: receive})
//	alloc, err := c.Allocate(ctx)
//
// The server relays without an allocation per packet and many packets per system call (on Linux), and
// towards a client that reads slowly drops what is older than Config.MaxQueueDelay: media wants the
// newest packet.
//
// It does not speak UDP or DTLS to clients, and relays TCP (RFC 6062) only if told to. The client neither
// dials nor refreshes by itself.
package turntcp
