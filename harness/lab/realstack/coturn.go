package realstack

import (
	"context"
	"errors"
	"fmt"
)

// A Coturn is a running TURN server that we did not write, for the users of the Stack. It relays to
// peers on 127.0.0.1.
type Coturn struct {
	Addr    string // 127.0.0.1:port, TURN over TCP
	TLSAddr string // 127.0.0.1:port, TURN over TLS; "" without a certificate
	Realm   string
}

// StartCoturn adds a coturn to the Stack; Close ends it with the rest. It may be called once.
func (s *Stack) StartCoturn(ctx context.Context) (Coturn, error) {
	if find("turnserver") == "" {
		return Coturn{}, errors.New("coturn: not on this machine: turnserver")
	}
	if err := s.writeWebUsers(ctx); err != nil {
		return Coturn{}, fmt.Errorf("coturn: %w", err)
	}
	n := 1
	if s.cfg.tls() {
		n = 2
	}
	ports, err := s.serve(ctx, "coturn", n, s.coturnListener)
	if err != nil {
		return Coturn{}, fmt.Errorf("coturn: %w", err)
	}
	c := Coturn{Addr: loopback(ports[0]), Realm: webRealm}
	if n > 1 {
		c.TLSAddr = loopback(ports[1])
	}
	return c, nil
}

func (s *Stack) coturnListener(ports []int) (listener, error) {
	// The key of RFC 8489 section 9.2.2 is the H(A1) of Digest. Given as such it needs no signs of
	// the password in the configuration.
	var keys []string
	for _, u := range s.cfg.Users {
		keys = append(keys, u.Name+":0x"+digestKey(u))
	}
	values := map[string]any{"Port": ports[0], "Keys": keys}
	ready := []string{"TCP listener opened on : " + loopback(ports[0])}
	if len(ports) > 1 {
		values["TLSPort"] = ports[1]
		ready = append(ready, "TCP listener opened on : "+loopback(ports[1]))
	}
	return listener{
		program: "turnserver", args: []string{"-c", s.path("coturn.conf")}, log: "coturn.out", ready: ready,
	}, s.configure("coturn.conf", "coturn.conf", values)
}
