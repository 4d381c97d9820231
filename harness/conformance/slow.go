package conformance

import (
	"net/netip"
	"time"

	"github.com/pion/stun/v4"
)

// What takes time: everything that expires. These run all at once.
var slowTests = []Test{
	{"permission.expires", Must, "RFC 8656 9", "a permission lasts 300 seconds, and data does not prolong it", true, permissionExpires},
	{"permission.expires-bound", Must, "RFC 8656 11.3", "an expired permission blocks data both ways although the channel is still bound", true, permissionExpiresBound},
	{"permission.refreshed", Must, "RFC 8656 9", "a CreatePermission prolongs a permission", true, permissionRefreshed},
	{"channel.refreshes-permission", Must, "RFC 8656 12.2", "a ChannelBind prolongs the peer's permission", true, channelRefreshesPermission},
	{"channel.expires", Must, "RFC 8656 12", "a channel lasts 600 seconds, and data and permissions do not prolong it; then its number may be bound to another peer", true, channelExpires},
	{"lifetime.expires", Must, "RFC 8656 6", "an allocation that is not refreshed ends after its lifetime", true, lifetimeExpires},
	{"allocate.reservation-lasts", Must, "RFC 8656 7.2", "a reserved port is kept for 30 seconds at least", true, reservationLasts},
	{"tcp.connect-timeout", Must, "RFC 6062 5.2", "a Connect to a peer that does not answer gets 447, after 30 seconds at least", true, tcpConnectTimeout},
	{"tcp.bind-timeout", Must, "RFC 6062 5.4", "a peer's connection that is not bound within 30 seconds is closed", true, tcpBindTimeout},
}

// A wait goes on from when it was made.
type wait struct {
	t    *T
	from time.Time
	step time.Duration // between the calls of meanwhile
	each func()        // what is to be done meanwhile, if anything
}

func (t *T) wait(step time.Duration, each func()) *wait { return &wait{t, time.Now(), step, each} }

// until waits until so much time has gone since the beginning.
func (w *wait) until(d time.Duration) {
	w.t.log("waiting until %v", d)
	for {
		rest := time.Until(w.from.Add(d))
		if rest <= 0 {
			return
		}
		if w.each == nil {
			w.t.pause(rest)
			continue
		}
		w.t.pause(min(rest, w.step))
		w.each()
	}
}

// Shortly before and after something ends that lasts so long. Servers that look every few seconds are late.
func before(lasts time.Duration) time.Duration { return lasts * 93 / 100 }
func after(lasts time.Duration) time.Duration  { return lasts*105/100 + time.Second }

// exchange sends a datagram each way, which must arrive.
func (t *T) exchange(c *client, p peer) {
	c.sendTo(p.addr(), "up")
	t.peerGets(p, "up")
	p.send(c.relayed, "down")
	c.gets("down")
}

// isBlocked sends a datagram each way that must be dropped, opens the way and sends what must come first.
func (t *T) isBlocked(c *client, p peer, sendUp func(payload string)) {
	p.renew()
	sendUp(dropped)
	p.send(c.relayed, dropped)
	t.pause(settling)
	c.permit(p)
	sendUp(marker)
	t.peerGets(p, marker)
	p.send(c.relayed, marker)
	c.gets(marker)
}

func permissionExpires(t *T) {
	lasts := t.options.PermissionLifetime
	c := t.allocated()
	p := t.peer(c)
	w := t.wait(lasts/6, func() { p.renew(); t.exchange(c, p) })
	c.permit(p)
	w.until(before(lasts))
	w.each = nil
	w.until(after(lasts))
	t.isBlocked(c, p, func(payload string) { c.sendTo(p.addr(), payload) })
}

func permissionExpiresBound(t *T) {
	c := t.allocated()
	p := t.peer(c)
	w := t.wait(0, nil)
	c.bind(channel, p)
	w.until(after(t.options.PermissionLifetime))
	t.isBlocked(c, p, func(payload string) { c.sendChannel(channel, payload) })
}

// prolongs is a test of what prolongs a permission.
func (t *T) prolongs(what func(c *client, p peer)) {
	lasts := t.options.PermissionLifetime
	c := t.allocated()
	p := t.peer(c)
	w := t.wait(0, nil)
	c.permit(p)
	w.until(lasts * 6 / 10)
	what(c, p)
	w.until(lasts * 13 / 10)
	p.renew()
	t.exchange(c, p)
}

func permissionRefreshed(t *T) { t.prolongs(func(c *client, p peer) { c.permit(p) }) }

func channelRefreshesPermission(t *T) {
	t.prolongs(func(c *client, p peer) { c.bind(channel, p) })
}

// channelLifetime is that of RFC 8656 section 12.
const channelLifetime = 10 * time.Minute

func channelExpires(t *T) {
	c := t.allocated()
	p := t.peer(c)
	w := t.wait(time.Minute, func() {
		c.refreshed()
		c.permit(p)
		p.renew()
		c.sendChannel(channel, marker)
		t.peerGets(p, marker)
	})
	c.bind(channel, p)
	w.until(before(channelLifetime))
	w.each = nil
	w.until(after(channelLifetime))
	p.renew()
	c.permit(p)
	c.sendChannel(channel, dropped)
	c.sendTo(p.addr(), marker)
	t.peerGets(p, marker)
	p.send(c.relayed, marker)
	if d := c.gets(marker); d.channel != 0 {
		t.fail("from a peer whose channel has expired: want a Data indication, got %s", d.way())
	}
	c.ok(stun.MethodChannelBind, channelNumber(channel), peerAddress(beside(p)))
}

func lifetimeExpires(t *T) {
	c := t.allocated()
	lasts := time.Duration(c.lifetime) * time.Second
	switch {
	case after(lasts) > slowLimit-time.Minute:
		t.skip("the default lifetime is %v, which is too long to wait for", lasts)
	case !t.portsTell(c.relayed.Addr()):
		t.skip("from here nothing tells whether a UDP port of the relay is open")
	}
	w := t.wait(0, nil)
	w.until(before(lasts))
	if !t.isOpen(c.relayed) {
		t.fail("the relayed port is closed before the lifetime of %v is over", lasts)
	}
	w.until(after(lasts))
	t.closes(c.relayed)
}

func reservationLasts(t *T) {
	c := t.reserved()
	t.wait(0, nil).until(29 * time.Second)
	other := t.allocated(raw(stun.AttrReservationToken, c.token...))
	if want := netip.AddrPortFrom(c.relayed.Addr(), c.relayed.Port()+1); other.relayed != want {
		t.log("want %v, got %v", want, other.relayed)
		t.fail("Allocate with RESERVATION-TOKEN: the relayed address is not the reserved one")
	}
}

// Limits of RFC 6062, and what is waited for beyond them: Linux itself gives a connection up after 130 seconds.
const (
	connectLeast   = 30 * time.Second
	connectLongest = 150 * time.Second
	bindLimit      = 30 * time.Second
)

func tcpConnectTimeout(t *T) {
	c := t.allocatedTCP()
	peer := t.deafPeer()
	m := c.signed(stun.MethodConnect, peerAddress(peer))
	began := time.Now()
	c.send(m)
	f, err := c.next(connectLongest)
	lasted := time.Since(began)
	response := new(stun.Message)
	switch {
	case err != nil:
		t.fail("Connect to a peer that does not answer: %v within %v", err, connectLongest)
	case stun.Decode(f, response) != nil || errorCode(response) != 447:
		t.fail("Connect to a peer that does not answer: want error 447, got %s", describeFrame(f))
	case lasted < connectLeast-time.Second:
		t.log("after %v", lasted)
		t.fail("Connect to a peer that does not answer: error 447 before 30 seconds")
	}
}

func tcpBindTimeout(t *T) {
	c := t.allocatedTCP()
	p := t.streamPeer(c)
	c.connect(p.addr())
	far, _ := p.accept()
	began := time.Now()
	if !far.ends(after(bindLimit) + 10*time.Second) {
		t.fail("a peer's connection that is not bound is still open after 40 seconds")
	}
	if lasted := time.Since(began); lasted < before(bindLimit) {
		t.log("after %v", lasted)
		t.fail("a peer's connection that is not bound is closed before 30 seconds")
	}
}
