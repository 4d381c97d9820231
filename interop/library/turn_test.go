package library

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/turngate/turngate/harness/lab"
	"github.com/turngate/turngate/proxyconnect"
	"github.com/turngate/turngate/turntcp"
)

// serveTURN relays for clients that come by TLS to an address (":443"). Whoever shares the secret
// makes their user names and passwords with turntcp.RESTCredential.
func serveTURN(address string, cert tls.Certificate, secret string, relayIP netip.Addr, log *slog.Logger) (*turntcp.Server, net.Addr, error) {
	srv, err := turntcp.NewServer(turntcp.Config{
		Realm:       "example.com",
		Credentials: turntcp.RESTCredentials(secret),
		RelayIP:     relayIP, // what peers send to
		TLS:         &tls.Config{Certificates: []tls.Certificate{cert}},
		Logger:      log,
	})
	if err != nil {
		return nil, nil, err
	}
	addr, err := srv.ListenTLS(address)
	if err != nil {
		srv.Close()
		return nil, nil, err
	}
	return srv, addr, nil
}

// allocate gets a relay from a TURN server beyond the proxy, over TLS. trust has its roots; nil means
// the system's. Close the client when done.
func allocate(ctx context.Context, through *proxyconnect.Dialer, server string, trust *tls.Config, config turntcp.ClientConfig) (*turntcp.Client, netip.AddrPort, error) {
	conn, err := through.DialTLSContext(ctx, "tcp", server, trust)
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	client := turntcp.NewClient(conn, config)
	allocation, err := client.Allocate(ctx)
	if err != nil {
		client.Close()
		return nil, netip.AddrPort{}, err
	}
	return client, allocation.Relayed, nil
}

// keepAlive refreshes a client's allocation and its channel to a peer until ctx or the client ends.
// Every 4 minutes will do: permissions last 5.
func keepAlive(ctx context.Context, client *turntcp.Client, peer netip.AddrPort, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-client.Done():
			return client.Err()
		case <-tick.C:
		}
		if _, err := client.Refresh(ctx, 10*time.Minute); err != nil {
			return err
		}
		if _, err := client.Bind(ctx, peer); err != nil {
			return err
		}
	}
}

// Example_turn has two clients behind the proxy talk to each other through their relays.
func Example_turn() {
	ctx, cancel := seconds(20)
	defer cancel()
	cert, trust := certificate()
	const secret = "shared with the web application"
	srv, addr, err := serveTURN("127.0.0.1:0", cert, secret, netip.MustParseAddr("127.0.0.1"), slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	d := &proxyconnect.Dialer{
		Proxy:      proxyURL(lab.SchemeNTLM),
		Mechanisms: []proxyconnect.Mechanism{ntlmMechanism("NTLM", corp.User.Name, corp.User.Password)},
	}
	user, password := turntcp.RESTCredential(secret, "alice", time.Hour, time.Now())
	received := make(chan string, 1)
	bob, bobRelay, err := allocate(ctx, d, addr.String(), trust, turntcp.ClientConfig{
		Username: user, Password: password,
		OnData: func(data turntcp.Data) { received <- string(data.Payload) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer bob.Close()
	alice, aliceRelay, err := allocate(ctx, d, addr.String(), trust, turntcp.ClientConfig{Username: user, Password: password})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer alice.Close()
	if err := bob.CreatePermission(ctx, aliceRelay.Addr()); err != nil {
		fmt.Println(err)
	}
	channel, err := alice.Bind(ctx, bobRelay)
	if err != nil {
		fmt.Println(err)
	}
	if err := alice.WriteChannel(channel, []byte("hello, Bob")); err != nil {
		fmt.Println(err)
	}
	select {
	case text := <-received:
		fmt.Println(text)
	case <-ctx.Done():
		fmt.Println("nothing arrived")
	}
	// Output: hello, Bob
}

// certificate is one for example.com, and a configuration that trusts it.
func certificate() (tls.Certificate, *tls.Config) {
	site := httptest.NewTLSServer(nil)
	defer site.Close()
	trust := site.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	trust.ServerName = "example.com"
	return site.TLS.Certificates[0], trust
}

// TestKeepAlive lets the connection fail after three rounds of Refresh and ChannelBind.
func TestKeepAlive(t *testing.T) {
	conn, err := net.Dial("tcp", corp.TURN.TCP)
	if err != nil {
		t.Fatal(err)
	}
	wire := &lastingConn{Conn: conn}
	wire.left.Store(100)
	client := turntcp.NewClient(wire, turntcp.ClientConfig{Username: corp.TURN.User.Name, Password: corp.TURN.User.Password})
	defer client.Close()
	allocation, err := client.Allocate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wire.left.Store(6)
	err = keepAlive(t.Context(), client, allocation.Relayed, time.Millisecond)
	if want := errWorn; !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
	if left := wire.left.Load(); left >= 0 {
		t.Errorf("%d of 6 writes are left, want none", left)
	}
}

var errWorn = errors.New("this connection has done its writes")

// A lastingConn fails after so many writes.
type lastingConn struct {
	net.Conn
	left atomic.Int64
}

func (c *lastingConn) Write(b []byte) (int, error) {
	if c.left.Add(-1) < 0 {
		return 0, errWorn
	}
	return c.Conn.Write(b)
}
