//go:build !linux

package turntcp

import (
	"errors"
	"net"
	"net/netip"
	"sync"
)

// One system call for each datagram, where there are none for many.

// A sendBatch is datagrams to be sent from one socket. It refers to the payloads, it has no copies.
type sendBatch struct {
	to       []netip.AddrPort
	payloads [][]byte
}

const sendBatchSize = 64

var sendBatches = sync.Pool{New: func() any { return new(sendBatch) }}

// add takes a datagram to an IPv4 address.
func (b *sendBatch) add(to netip.AddrPort, payload []byte) {
	b.to = append(b.to, to)
	b.payloads = append(b.payloads, payload)
}

func (b *sendBatch) full() bool { return len(b.to) == sendBatchSize }

// send sends all and empties the batch. What the system refuses is left out.
func (b *sendBatch) send(r *relay) (packets, bytes, failed int) {
	for i, payload := range b.payloads {
		if _, err := r.udp.WriteToUDPAddrPort(payload, b.to[i]); err != nil {
			failed++
			continue
		}
		packets++
		bytes += len(payload)
	}
	clear(b.payloads)
	b.to, b.payloads = b.to[:0], b.payloads[:0]
	return packets, bytes, failed
}

// An inbox is a datagram that has been received, and room for the frame that it becomes.
type inbox struct {
	from netip.AddrPort
	n    int
	buf  [65536]byte
	out  []byte
}

func (in *inbox) count() int { return 1 }

// message returns the datagram, and its size again.
func (in *inbox) message(int) (from netip.AddrPort, datagrams []byte, size int) {
	return in.from, in.buf[:in.n], in.n
}

// receive waits for datagrams and delivers them until the socket is closed or broken.
func (r *relay) receive() (err error) {
	in := new(inbox)
	for failures := 0; ; {
		if in.n, in.from, err = r.udp.ReadFromUDPAddrPort(in.buf[:]); err == nil {
			failures = 0
			r.deliver(in)
			continue
		}
		if failures++; errors.Is(err, net.ErrClosed) || failures == maxReadErrors {
			return err
		}
	}
}
