package turntcp

import (
	"testing"

	"github.com/pion/stun/v4"
)

// An allocation ends with its connection: at once, without a word to anybody, whatever pion's nonce is meanwhile, and
// though the user is known no longer.
func TestDeletionWithConnection(t *testing.T) {
	known := true
	rejected := 0
	srv := newTestServer(t, func(c *Config) {
		users := c.Credentials
		c.Credentials = credentialsFunc(func(name string) (Account, bool) {
			account, ok := users.Lookup(name)
			return account, ok && known
		})
		c.OnAuthRejected = func(AuthRejection) { rejected++ }
	})
	for _, nonce := range []stun.Nonce{nil, stun.NewNonce("stale")} {
		for range maxControls { // each has its nonce
			known = true
			c := newPlainClient(t, srv)
			a := c.allocate(t)
			f := onlyFlow(t, srv)
			ct := f.conn.control
			ct.turns.Lock()
			if ct.nonce != nil {
				ct.nonce = nonce
			}
			ct.turns.Unlock()
			known = false
			c.Close()
			eventually(t, "the allocation has ended", func() bool { return srv.Allocations() == 0 && srv.Connections() == 0 })
			if port := a.Relayed.Port(); srv.relays.hosts[0].isLive(port) {
				t.Errorf("port %d is still taken", port)
			}
		}
	}
	if rejected != 0 {
		t.Errorf("%d requests of ours were told as rejected", rejected)
	}
}

// credentialsFunc is Credentials.
type credentialsFunc func(string) (Account, bool)

func (f credentialsFunc) Lookup(name string) (Account, bool) { return f(name) }
