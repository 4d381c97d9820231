//go:build linux

package turntcp

import (
	"errors"
	"testing"
)

// Our client against coturn.
func TestCoturn(t *testing.T) {
	addr := coturn(t)
	peer := turnutilsPeer(t)
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			c := newTestClient(t, dial(t, transport, addr[transport]), ClientConfig{})
			mapped, err := c.Binding(context10(t))
			if want := addrPort(c.conn.LocalAddr()); err != nil || mapped != want {
				t.Errorf("binding: got %v, %v, want %v", mapped, err, want)
			}
			a := c.allocate(t)
			if a.Relayed.Addr() != loopback || a.Mapped != mapped || a.Lifetime <= 0 {
				t.Errorf("allocation is %+v", a)
			}
			number, err := c.Bind(context10(t), peer)
			if err != nil {
				t.Fatal(err)
			}
			for _, payload := range []string{"a train of one", "", "xyz"} {
				if err := c.WriteChannel(number, []byte(payload)); err != nil {
					t.Fatal(err)
				}
				if got, want := c.receive(t), (datagram{number, peer, payload}); got != want {
					t.Errorf("got %+v, want %+v", got, want)
				}
			}
			if lifetime, err := c.Refresh(context10(t), a.Lifetime); err != nil || lifetime != a.Lifetime {
				t.Errorf("refresh: got %v, %v, want %v", lifetime, err, a.Lifetime)
			}
			if lifetime, err := c.Refresh(context10(t), 0); err != nil || lifetime != 0 {
				t.Errorf("refresh with 0: got %v, %v", lifetime, err)
			}
		})
		t.Run(transport+"/indications between relays", func(t *testing.T) {
			a := newTestClient(t, dial(t, transport, addr[transport]), ClientConfig{})
			b := newTestClient(t, dial(t, transport, addr[transport]), ClientConfig{})
			atA, atB := a.allocate(t).Relayed, b.allocate(t).Relayed
			for _, c := range []*testClient{a, b} {
				if err := c.CreatePermission(context10(t), loopback); err != nil {
					t.Fatal(err)
				}
			}
			if err := a.Send(atB, []byte("to b")); err != nil {
				t.Fatal(err)
			}
			if got, want := b.receive(t), (datagram{0, atA, "to b"}); got != want {
				t.Errorf("b got %+v, want %+v", got, want)
			}
		})
		t.Run(transport+"/wrong password", func(t *testing.T) {
			c := newTestClient(t, dial(t, transport, addr[transport]), ClientConfig{Username: testUser, Password: "wrong"})
			_, err := c.Allocate(context10(t))
			var got *Error
			if !errors.As(err, &got) || got.Code != 401 || got.Method != "Allocate" {
				t.Errorf("got %v, want error 401 of Allocate", err)
			}
		})
		t.Run(transport+"/refresh without allocation", func(t *testing.T) {
			c := newTestClient(t, dial(t, transport, addr[transport]), ClientConfig{})
			_, err := c.Refresh(context10(t), 600e9)
			var got *Error
			if !errors.As(err, &got) || got.Code != 437 {
				t.Errorf("got %v, want error 437", err)
			}
		})
	}
}
