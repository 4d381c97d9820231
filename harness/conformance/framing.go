package conformance

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/pion/stun/v4"
)

var framingTests = []Test{
	{"framing.channeldata-padding", Must, "RFC 8656 12.5", "ChannelData over a stream is padded to 4 bytes both ways, and its length does not count the padding", false, framingPadding},
	{"framing.channeldata-small-up", Must, "RFC 8656 12.6", "ChannelData with 1 to 4 bytes is relayed to the peer at once", false, framingSmallUp},
	{"framing.channeldata-small-down", Must, "RFC 8656 12.7", "datagrams of 1 to 4 bytes reach the client at once", false, framingSmallDown},
	{"framing.channeldata-empty-up", Must, "RFC 8656 12.6", "ChannelData of length 0 becomes an empty datagram", false, framingEmptyUp},
	{"framing.channeldata-empty-down", Must, "RFC 8656 12.7", "an empty datagram becomes ChannelData of length 0", false, framingEmptyDown},
	{"framing.large-up", Must, "RFC 8656 12.6", "ChannelData of 60000 bytes is relayed whole", false, framingLargeUp},
	{"framing.large-down", Must, "RFC 8656 16", "a datagram of 3000 bytes, which comes in fragments, is relayed whole", false, framingLargeDown(3000)},
	{"framing.largest-down", Must, "RFC 8656 16", "a datagram of 60000 bytes is relayed whole", false, framingLargeDown(60000)},
	{"framing.length-65535", Must, "RFC 8656 12.6", "ChannelData of length 65535 on an unbound channel is discarded, or the connection closed; the server does not hang", false, framingLongest},
	{"framing.reserved-first-byte", Must, "RFC 8656 12.6", "bytes that are neither STUN nor ChannelData are dropped or end the connection, and are not answered", false, framingReserved},
	{"framing.split", Must, "RFC 8489 6.2.2", "a request that arrives byte by byte is answered", false, framingSplit},
	{"framing.channeldata-split", Must, "RFC 8656 12.5", "ChannelData that arrives byte by byte becomes one datagram", false, framingChannelSplit},
	{"framing.mixed", Must, "RFC 8489 6.2.2", "ChannelData, a Send indication and a request in one segment are all processed", false, framingMixed},
	{"framing.pipelined", Must, "RFC 8489 6.2.2", "several requests in one segment are all answered, on the same connection", false, framingPipelined},
	{"framing.no-retransmission", Must, "RFC 8489 6.2.2", "a response over a stream comes once", false, framingOnce},
	{"framing.close-ends-allocation", Must, "RFC 8656 3.1", "the allocation ends soon after its connection is closed", false, framingClose},
}

const channel = 0x4000 // that most tests bind

func framingPadding(t *T) {
	c := t.allocated()
	p := t.peer(c)
	c.bind(channel, p)
	for n := 5; n <= 9; n++ {
		c.sendChannel(channel, payloadOf(n))
		t.peerGets(p, payloadOf(n))
		p.send(c.relayed, payloadOf(n))
		c.gets(payloadOf(n)) // a frame without padding would shift those after it
	}
}

func framingSmallUp(t *T) {
	c := t.allocated()
	p := t.peer(c)
	c.bind(channel, p)
	for n := 1; n <= 4; n++ {
		c.sendChannel(channel, payloadOf(n))
		t.peerGets(p, payloadOf(n))
	}
}

func framingSmallDown(t *T) {
	c := t.allocated()
	p := t.peer(c)
	c.bind(channel, p)
	for n := 1; n <= 4; n++ {
		p.send(c.relayed, payloadOf(n))
		c.gets(payloadOf(n))
	}
}

func framingEmptyUp(t *T) {
	c := t.allocated()
	p := t.peer(c)
	c.bind(channel, p)
	c.sendChannel(channel, "")
	t.peerGets(p, "")
}

func framingEmptyDown(t *T) {
	c := t.allocated()
	p := t.peer(c)
	c.bind(channel, p)
	p.send(c.relayed, "")
	c.gets("")
}

func framingLargeUp(t *T) {
	c := t.allocated()
	p := t.peer(c)
	c.bind(channel, p)
	c.sendChannel(channel, payloadOf(60000))
	t.peerGets(p, payloadOf(60000))
}

func framingLargeDown(size int) func(*T) {
	return func(t *T) {
		c := t.allocated()
		p := t.peer(c)
		c.bind(channel, p)
		p.send(c.relayed, payloadOf(size))
		c.gets(payloadOf(size))
	}
}

func framingLongest(t *T) {
	c := t.client()
	c.sendChannel(0x4FFF, payloadOf(0xFFFF))
	m := c.unsigned(stun.MethodBinding)
	c.send(m)
	if _, err := c.await(m.TransactionID); err != nil && err != errClosed {
		t.fail("Binding after it on the same connection: %v", err)
	}
	t.client().answer(m)
}

func framingReserved(t *T) {
	for _, first := range []byte{0x80, 0xC0, 0xFF} {
		c := t.client()
		t.log("%s > 1000 bytes %#02x", c.name, first)
		c.write(slices.Repeat([]byte{first}, 1000))
		if f, err := c.next(t.options.Timeout / 5); err == nil {
			t.fail("1000 bytes %#02x were answered with %s", first, describeFrame(f))
		}
	}
	c := t.client()
	c.answer(c.unsigned(stun.MethodBinding))
}

func framingSplit(t *T) {
	c := t.client()
	if tcp, ok := c.nc.(*net.TCPConn); ok {
		_ = tcp.SetNoDelay(true)
	}
	m := c.unsigned(stun.MethodBinding)
	t.log("%s > %s, byte by byte", c.name, describe(m))
	for i := range m.Raw {
		c.write(m.Raw[i : i+1])
	}
	if _, err := c.await(m.TransactionID); err != nil {
		t.fail("Binding byte by byte: %v", err)
	}
}

func framingChannelSplit(t *T) {
	c := t.allocated()
	p := t.peer(c)
	c.bind(channel, p)
	t.log("%s > ChannelData %#04x, byte by byte", c.name, channel)
	for _, b := range channelData(channel, []byte(marker)) {
		c.write([]byte{b})
	}
	t.peerGets(p, marker)
}

func framingMixed(t *T) {
	c := t.allocated()
	p := t.peer(c)
	c.bind(channel, p)
	send := c.build(stun.TransactionID, stun.NewType(stun.MethodSend, stun.ClassIndication), peerAddress(p.addr()),
		raw(stun.AttrData, []byte("second")...))
	m := c.unsigned(stun.MethodBinding)
	t.log("%s > ChannelData, a Send indication, Binding, ChannelData at once", c.name)
	c.write(slices.Concat(channelData(channel, []byte("first")), send.Raw, m.Raw, channelData(channel, []byte("third"))))
	for _, want := range []string{"first", "second", "third"} {
		t.peerGets(p, want)
	}
	if _, err := c.await(m.TransactionID); err != nil {
		t.fail("Binding among data: %v", err)
	}
}

func framingPipelined(t *T) {
	c := t.client()
	var all []byte
	waiting := make(map[[stun.TransactionIDSize]byte]bool)
	for range 3 {
		for _, m := range []*stun.Message{c.unsigned(stun.MethodBinding), c.unsigned(stun.MethodAllocate, transport(protocolUDP))} {
			all = append(all, m.Raw...)
			waiting[m.TransactionID] = true
		}
	}
	t.log("%s > 3 Binding and 3 Allocate requests at once", c.name)
	c.write(all)
	for range 6 {
		f, err := c.next(t.options.Timeout)
		if err != nil {
			t.fail("%d of 6 requests sent at once were not answered: %v", len(waiting), err)
		}
		var m stun.Message
		if stun.Decode(f, &m) != nil || !waiting[m.TransactionID] {
			t.fail("6 requests sent at once: want their responses, got %s", describeFrame(f))
		}
		delete(waiting, m.TransactionID)
	}
}

func framingOnce(t *T) {
	c := t.client()
	c.answer(c.unsigned(stun.MethodBinding))
	if f, err := c.next(1500 * time.Millisecond); err == nil {
		t.fail("after the response: want nothing, got %s", describeFrame(f))
	}
}

func framingClose(t *T) {
	c := t.allocated()
	if !t.portsTell(c.relayed.Addr()) {
		t.skip("from here nothing tells whether a UDP port of the relay is open")
	}
	if !t.isOpen(c.relayed) {
		t.fail("the relayed port is closed while the allocation lives")
	}
	t.log("%s closes its connection", c.name)
	c.nc.Close()
	t.closes(c.relayed)
}

// closes fails unless the relayed port is closed soon.
func (t *T) closes(at netip.AddrPort) {
	for end := time.Now().Add(t.options.Timeout); t.isOpen(at); t.pause(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.fail("the relayed port is still open")
		}
	}
}

// isOpen tells whether nothing says that a UDP port is closed: ICMP comes back at once, where it comes.
func (t *T) isOpen(at netip.AddrPort) bool {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(at))
	if err != nil {
		return true
	}
	defer conn.Close()
	_ = conn.SetDeadline(t.until(200 * time.Millisecond))
	_, _ = conn.Write([]byte("is anybody there?"))
	_, err = conn.Read(make([]byte, 100))
	open := !errors.Is(err, syscall.ECONNREFUSED)
	t.log("a probe of the relayed port finds it open: %v", open)
	return open
}

// portsTell tells whether closed ports of the host say so. Nobody listens at port 1 (tcpmux).
func (t *T) portsTell(host netip.Addr) bool { return !t.isOpen(netip.AddrPortFrom(host, 1)) }
