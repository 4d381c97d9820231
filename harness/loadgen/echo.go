package loadgen

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"
)

// An EchoPeer is the other end of calls on another host: it sends back what a TURN server relays to it
// over UDP. It answers addresses that it was told to, packets that carry a generator's mark, each once,
// with as many bytes, and never an answer; so nobody can use it to send more than they send themselves,
// and two of it cannot be made to talk to each other. It keeps nothing about anybody.
type EchoPeer struct {
	conn  *net.UDPConn
	allow []netip.Prefix

	failed error // the last read that did; of Serve's goroutine

	echoed, bytes, strangers, others, unsent atomic.Int64
}

// EchoCounts is what an EchoPeer has done, in packets but for Bytes.
type EchoCounts struct {
	Echoed, Bytes int64
	Strangers     int64 // from addresses that are not allowed
	Others        int64 // without a generator's mark, or too large for one
	Unsent        int64 // answers that the system did not take
	Dropped       int64 // by the system before they were read, since this host was too slow; -1: not known
}

// echoBuffer is what the system is asked to keep for the peer, in bytes: a quarter of a second of 100
// Mbit/s. It gives at most net.core.rmem_max.
const echoBuffer = 4 << 20

// ListenEcho makes the peer of a UDP address "host:port" that answers packets from the prefixes.
// Without any it answers nobody.
func ListenEcho(address string, allow []netip.Prefix) (*EchoPeer, error) {
	at, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return nil, err
	}
	conn, err := net.ListenUDP("udp", at)
	if err != nil {
		return nil, err
	}
	_ = conn.SetReadBuffer(echoBuffer) // less will do for fewer calls
	return &EchoPeer{conn: conn, allow: slices.Clone(allow)}, nil
}

// Addr is where it listens.
func (p *EchoPeer) Addr() netip.AddrPort { return p.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

// Close ends it. It may be called twice.
func (p *EchoPeer) Close() error {
	if err := p.conn.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// mostFailures is after how many reads in a row that failed the peer gives up. One may be due to a packet.
const mostFailures = 100

// Serve answers until the context ends or the peer is closed; then the error is nil. It is for one
// goroutine, since several would change the order of packets.
func (p *EchoPeer) Serve(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { p.conn.SetReadDeadline(time.Now()) })()
	b := make([]byte, MaxPacket+1) // what fills it is too large
	for failures := 0; failures < mostFailures; {
		n, from, err := p.conn.ReadFromUDPAddrPort(b)
		switch {
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return nil
		case err != nil:
			failures++
			p.failed = err
		default:
			failures = 0
			p.answer(b[:n], from)
		}
	}
	return fmt.Errorf("echo peer: %w", p.failed)
}

// answer sends a packet back, if it may be.
func (p *EchoPeer) answer(b []byte, from netip.AddrPort) {
	if !p.allows(from.Addr().Unmap()) {
		p.strangers.Add(1)
		return
	}
	if len(b) < headerSize || len(b) > MaxPacket || binary.BigEndian.Uint32(b) != sentMark {
		p.others.Add(1)
		return
	}
	binary.BigEndian.PutUint32(b, echoedMark)
	if _, err := p.conn.WriteToUDPAddrPort(b, from); err != nil {
		p.unsent.Add(1)
		return
	}
	p.echoed.Add(1)
	p.bytes.Add(int64(len(b)))
}

func (p *EchoPeer) allows(a netip.Addr) bool {
	for _, prefix := range p.allow {
		if prefix.Contains(a) {
			return true
		}
	}
	return false
}

// Counts is what it has done so far, for any goroutine. What was dropped is known until it is closed.
func (p *EchoPeer) Counts() EchoCounts {
	return EchoCounts{
		Echoed: p.echoed.Load(), Bytes: p.bytes.Load(), Strangers: p.strangers.Load(), Others: p.others.Load(), Unsent: p.unsent.Load(),
		Dropped: droppedBy(p.conn),
	}
}
