//go:build linux && !race

package turntcp

import (
	"crypto/tls"
	"fmt"
	"io"
	"testing"
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
