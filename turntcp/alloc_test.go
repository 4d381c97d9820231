//go:build linux && !race

package turntcp

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/netip"
	"testing"

	"github.com/pion/stun/v4"
)

// A relayed packet costs no allocation, either way. (Elsewhere the standard library allocates; the
// race detector makes pools forget on purpose.)
func TestRelayingAllocatesNothing(t *testing.T) {
	tests := []struct {
		transport, way string
		relay          func(*trial, testing.TB)
		want           float64 // for each train
	}{
		{"tcp", "up", (*trial).up, 0},
		{"tcp", "down", (*trial).down, 0},
		{"tls", "up", (*trial).up, 1}, // crypto/tls allocates for each record that it reads: here a train
		{"tls", "down", (*trial).downSealed, 0},
		{"tcp", "up by indications", (*trial).upIndications, 0},
		{"tcp", "down by indications", (*trial).downIndications, 0},
	}
	for _, tt := range tests {
		for _, train := range trains {
			t.Run(fmt.Sprintf("%s/%s/%dx%d", tt.transport, tt.way, train.n, train.size), func(t *testing.T) {
				tr := newTrial(t, tt.transport, train.n, train.size)
				tt.relay(tr, t) // fills the pools
				if got := testing.AllocsPerRun(300, func() { tt.relay(tr, t) }); got > tt.want {
					t.Errorf("%v allocations for a train of %d, want %v", got, train.n, tt.want)
				}
			})
		}
	}
}

// upIndications is up without the channel.
func (tr *trial) upIndications(t testing.TB) {
	if tr.indications == nil {
		for range tr.n {
			m := stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodSend, stun.ClassIndication),
				peerAddress(addrPort(tr.peer.LocalAddr())), stun.RawAttribute{Type: stun.AttrData, Value: Frame(tr.train).Payload()})
			tr.indications = append(tr.indications, m.Raw...)
		}
	}
	if _, err := tr.client.Write(tr.indications); err != nil {
		t.Fatal(err)
	}
	for range tr.n {
		if _, _, err := tr.peer.ReadFromUDPAddrPort(tr.buf); err != nil {
			t.Fatal(err)
		}
	}
}

// downIndications is down from another port of the peer, which has no channel.
func (tr *trial) downIndications(t testing.TB) {
	if tr.other == nil {
		tr.other = udpSocket(t)
	}
	channel := tr.peer
	tr.peer = tr.other
	tr.down(t)
	tr.peer = channel
}

// downSealed is down without the client's TLS, which allocates: of the records only the size is looked
// at.
func (tr *trial) downSealed(t testing.TB) {
	const recordOverhead = 5 + 1 + 16 // TLS 1.3 with AES-GCM
	payload := Frame(tr.train).Payload()
	for range tr.n {
		if _, err := tr.peer.WriteToUDPAddrPort(payload, tr.relay.Relayed); err != nil {
			t.Fatal(err)
		}
	}
	sealed := tr.buf[:len(tr.train)+tr.n*recordOverhead]
	if _, err := io.ReadFull(tr.client.(*tls.Conn).NetConn(), sealed); err != nil {
		t.Fatal(err)
	}
}

// Nor does one of an IPv6 relay.
func TestRelayingIPv6AllocatesNothing(t *testing.T) {
	peer := needIPv6(t)
	rs := newRelays([]RelayAddr{{Local: loopback6}}, PortRange{20000, 60000}, nil)
	r, _, err := rs.open(wish{ipv6: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	received := 0
	r.deliverAlone = func(_ netip.AddrPort, _ *letter, n int) { received += n }
	payload, buf := make([]byte, 160), make([]byte, 160)
	to := addrPort(peer.LocalAddr())
	echo := func() {
		if err := r.sendOne(payload, to); err != nil {
			t.Fatal(err)
		}
		n, from, err := peer.ReadFromUDPAddrPort(buf)
		if err != nil || from != r.addr() {
			t.Fatalf("%v, %v, want a datagram of %v", from, err, r.addr())
		}
		if _, err := peer.WriteToUDPAddrPort(buf[:n], from); err != nil {
			t.Fatal(err)
		}
		if packets, errno := r.receiveAlone(); packets != 1 || errno != 0 {
			t.Fatalf("%d datagrams, %v, want 1", packets, errno)
		}
	}
	echo() // fills the pool
	received = 0
	if got := testing.AllocsPerRun(300, echo); got > 0 || received != 301*len(payload) {
		t.Errorf("%v allocations for a datagram there and back, %d bytes, want 0 and %d", got, received, 301*len(payload))
	}
}
