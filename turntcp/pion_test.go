package turntcp

import (
	"fmt"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/turn/v5"
)

// pion's client against our server.
func TestPionClient(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			srv := newTestServer(t, allowLoopback)
			peer := udpSocket(t)
			conn := dial(t, transport, srv.addr[transport])
			quiet := logging.NewDefaultLoggerFactory()
			quiet.DefaultLogLevel = logging.LogLevelDisabled
			c, err := turn.NewClient(&turn.ClientConfig{
				STUNServerAddr: srv.addr[transport], TURNServerAddr: srv.addr[transport],
				Conn: turn.NewSTUNConn(conn), Username: testUser, Password: testPassword, Realm: testRealm,
				LoggerFactory: quiet,
			})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.Listen(); err != nil {
				t.Fatal(err)
			}
			if mapped, err := c.SendBindingRequest(); err != nil || mapped.String() != conn.LocalAddr().String() {
				t.Errorf("binding: got %v, %v, want %v", mapped, err, conn.LocalAddr())
			}
			relay, err := c.Allocate()
			if err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 2000)
			// It sends indications at first and binds a channel in the background. It keeps back
			// ChannelData of up to 4 bytes.
			for i := range 50 {
				payload := fmt.Sprintf("datagram %d", i)
				if _, err := relay.WriteTo([]byte(payload), peer.LocalAddr()); err != nil {
					t.Fatal(err)
				}
				_ = peer.SetReadDeadline(time.Now().Add(10 * time.Second))
				n, from, err := peer.ReadFrom(buf)
				if err != nil || string(buf[:n]) != payload || from.String() != relay.LocalAddr().String() {
					t.Fatalf("the peer got %q from %v, %v", buf[:n], from, err)
				}
				if _, err := peer.WriteTo(buf[:n], from); err != nil {
					t.Fatal(err)
				}
				_ = relay.SetReadDeadline(time.Now().Add(10 * time.Second))
				if n, from, err = relay.ReadFrom(buf); err != nil || string(buf[:n]) != payload || from.String() != peer.LocalAddr().String() {
					t.Fatalf("the client got %q from %v, %v", buf[:n], from, err)
				}
			}
			if err := relay.Close(); err != nil {
				t.Errorf("close the relay: %v", err)
			}
			eventually(t, "the allocation is gone", func() bool { return srv.Allocations() == 0 })
		})
	}
}
