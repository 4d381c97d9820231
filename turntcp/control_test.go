package turntcp

import (
	"net"
	"sync"
	"testing"
	"time"
)

// Connections share control planes, and yet nothing but a connection's own requests and its own end
// touches its allocation.
func TestConnectionsShareControlPlanes(t *testing.T) {
	srv := newTestServer(t, nil)
	var clients []*testClient
	for range 3 * maxControls {
		c := newTestClient(t, dial(t, "tcp", srv.addr["tcp"]), ClientConfig{Username: testUser, Password: testPassword})
		if _, err := c.Allocate(context10(t)); err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
	}
	for i, c := range clients[:maxControls] {
		if i%2 == 0 {
			c.Close()
		} else if _, err := c.Refresh(context10(t), 0); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "a third of the allocations ends", func() bool { return srv.Allocations() == 2*maxControls })
	for i, c := range clients[:maxControls] {
		if i%2 != 0 {
			if _, err := c.Allocate(context10(t)); err != nil {
				t.Errorf("allocate again: %v", err)
			}
		}
	}
	for _, c := range clients[maxControls:] {
		if _, err := c.Refresh(context10(t), 10*time.Minute); err != nil {
			t.Errorf("an allocation of another connection: %v", err)
		}
	}
	if got, want := srv.Allocations(), 2*maxControls+maxControls/2; got != want {
		t.Errorf("%d allocations, want %d", got, want)
	}
}

// Two connections from one address and port, to two listeners, have one control plane and an allocation each.
func TestSameClientAddressTwice(t *testing.T) {
	srv := newTestServer(t, nil)
	second, err := srv.ListenTCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config := ClientConfig{Username: testUser, Password: testPassword}
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, Control: sharePort}
	first, err := d.DialContext(t.Context(), "tcp", srv.addr["tcp"])
	if err != nil {
		t.Fatal(err)
	}
	one := newTestClient(t, first, config)
	if _, err := one.Allocate(context10(t)); err != nil {
		t.Fatal(err)
	}
	for range maxControls - 1 {
		dial(t, "tcp", srv.addr["tcp"])
	}
	eventually(t, "all are accepted", func() bool { return srv.Connections() == maxControls })
	d.LocalAddr = first.LocalAddr()
	nc, err := d.DialContext(t.Context(), "tcp", second.String())
	if err != nil {
		t.Skipf("this system gives no port twice: %v", err)
	}
	two := newTestClient(t, nc, config)
	if _, err := two.Allocate(context10(t)); err != nil {
		t.Fatal(err)
	}
	one.Close()
	eventually(t, "the first allocation ends", func() bool { return srv.Allocations() == 1 })
	if _, err := two.Refresh(context10(t), time.Minute); err != nil {
		t.Errorf("the second allocation: %v", err)
	}
}

// slowCredentials take their time for one user.
type slowCredentials struct {
	Credentials
	user    string
	asked   chan struct{}
	once    sync.Once
	release chan struct{}
}

func (c *slowCredentials) Lookup(username string) (Account, bool) {
	if username == c.user {
		c.once.Do(func() { close(c.asked) })
		<-c.release
	}
	return c.Credentials.Lookup(username)
}

// A user that takes long to be looked up holds up nobody else.
func TestSlowCredentials(t *testing.T) {
	credentials := &slowCredentials{
		Credentials: StaticCredentials(map[string]string{testUser: testPassword, "slow": testPassword}), user: "slow",
		asked: make(chan struct{}), release: make(chan struct{}),
	}
	srv := newTestServer(t, func(c *Config) { c.Credentials = credentials })
	slow := newTestClient(t, dial(t, "tcp", srv.addr["tcp"]), ClientConfig{Username: "slow", Password: testPassword})
	ended := make(chan error)
	go func() {
		_, err := slow.Allocate(t.Context())
		ended <- err
	}()
	<-credentials.asked
	for range maxControls {
		c := newTestClient(t, dial(t, "tcp", srv.addr["tcp"]), ClientConfig{Username: testUser, Password: testPassword})
		if _, err := c.Allocate(context10(t)); err != nil {
			t.Errorf("another user: %v", err)
		}
	}
	close(credentials.release)
	if err := <-ended; err != nil {
		t.Errorf("the slow user: %v", err)
	}
}
