//go:build linux

package realstack

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"testing"
	"time"

	"github.com/pion/turn/v5"
	"github.com/turngate/turngate/internal/peers"
)

// TestCoturn allocates at a real server with another project's client.
func TestCoturn(t *testing.T) {
	peers.Need(t, append(needed, "turnserver")...)
	certPEM, keyPEM := certificate(t)
	stack, err := Start(within(t), Config{Users: users, CertPEM: certPEM, KeyPEM: keyPEM, Only: []string{"tinyproxy"}})
	if err != nil {
		t.Fatal(err)
	}
	defer stack.Close()
	server, err := stack.StartCoturn(within(t))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certPEM)
	tests := []struct {
		name string
		tls  bool
		user User
		ok   bool
	}{
		{"tcp", false, alice, true},
		{"tcp, wrong password", false, User{"alice", "wrong"}, false},
		{"tcp, odd password", false, carol, true},
		{"tls", true, alice, true},
		{"tls, wrong password", true, User{"alice", "wrong"}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			conn, err := net.DialTimeout("tcp", server.Addr, deadline)
			if test.tls {
				conn, err = tls.DialWithDialer(&net.Dialer{Timeout: deadline}, "tcp", server.TLSAddr, &tls.Config{RootCAs: roots})
			}
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(deadline))
			if err := allocate(t, conn, server, test.user); (err == nil) != test.ok {
				t.Errorf("allocation: got %v, want success %v", err, test.ok)
			}
		})
	}
}

func allocate(t *testing.T, conn net.Conn, server Coturn, u User) error {
	client, err := turn.NewClient(&turn.ClientConfig{
		TURNServerAddr: server.Addr, Username: u.Name, Password: u.Password, Realm: server.Realm,
		Conn: turn.NewSTUNConn(conn),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Listen(); err != nil {
		t.Fatal(err)
	}
	relay, err := client.Allocate()
	if err != nil {
		return err
	}
	return relay.Close()
}
