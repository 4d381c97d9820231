package testproxy

import (
	"io"
	"net"
	"time"
)

// tunnelFaults harm the tunnel.
var tunnelFaults = []faultSpec{
	{FaultInfo{"tunnel.reset", "", 41, "an RST on the client's first bytes, which the target never sees"},
		always(hooks{tunnel: func(t *tunnel) { t.inspectFirst(func([]byte) bool { return false }) }})},
	{FaultInfo{"tunnel.dpi", "", 41, "an RST if the client's first bytes are not a TLS handshake"},
		always(hooks{tunnel: func(t *tunnel) { t.inspectFirst(isTLSHandshake) }})},
	{FaultInfo{"tunnel.cut", "30s", 44, "the tunnel ends this long after it began"},
		withDuration(func(d time.Duration) hooks { return hooks{tunnel: func(t *tunnel) { t.life = d }} })},
	{FaultInfo{"tunnel.cut-bytes", "65536", 0, "the tunnel ends after so many bytes from the target"},
		withNumber(1, 1<<30, func(n int) hooks { return hooks{tunnel: func(t *tunnel) { t.cutAfterBytes(n) }} })},
	{FaultInfo{"tunnel.idle", "15s", 44, "the tunnel ends when no byte went either way for so long"},
		withDuration(func(d time.Duration) hooks { return hooks{tunnel: func(t *tunnel) { t.idle = d }} })},
	{FaultInfo{"tunnel.bursts", "300ms", 50, "the target's bytes come in bursts of up to 32 KiB, one every so often, as from an empty delay pool"},
		withDuration(func(d time.Duration) hooks {
			return hooks{tunnel: func(t *tunnel) { t.down.src = &bursts{t: t, every: d, src: t.down.src} }}
		})},
	{FaultInfo{"tunnel.nagle", "", 0, "the proxy does without TCP_NODELAY: Nagle's algorithm waits for delayed acknowledgements"},
		always(hooks{tunnel: func(t *tunnel) { delay(t.client); delay(t.target) }})},
	{FaultInfo{"tls.intercept", "", 42, "TLS in the tunnel is opened by the proxy, with a certificate of InspectionCA"},
		always(hooks{tunnel: func(t *tunnel) { t.intercept(false) }})},
	{FaultInfo{"tls.intercept-http", "", 43, "as tls.intercept, and the tunnel ends if what comes inside is not HTTP"},
		always(hooks{tunnel: func(t *tunnel) { t.intercept(true) }})},
}

// inspectFirst ends the tunnel with an RST where the client's first bytes do not pass.
func (t *tunnel) inspectFirst(pass func([]byte) bool) {
	t.up.src = &firstBytes{Reader: t.up.src, pass: pass, fail: func() { t.reset("fault: the client's first bytes did not pass") }}
}

// firstBytes looks at what the first read yields, and never delivers it if it does not pass.
type firstBytes struct {
	io.Reader
	pass func([]byte) bool
	fail func()
	done bool
}

func (f *firstBytes) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if f.done || n == 0 {
		return n, err
	}
	f.done = true
	if f.pass(p[:n]) {
		return n, err
	}
	f.fail()
	return 0, errCut
}

// isTLSHandshake looks at the content type and the major version of a TLS record (RFC 8446
// section 5.1), as far as they are there.
func isTLSHandshake(b []byte) bool { return b[0] == 22 && (len(b) < 2 || b[1] == 3) }

// cutAfterBytes delivers n bytes from the target and then ends the tunnel.
func (t *tunnel) cutAfterBytes(n int) {
	t.down.src = &watched{t.down.src, func(got int) (int, error) {
		keep := min(got, n)
		if n -= keep; n == 0 {
			return keep, errCut
		}
		return keep, nil
	}}
}

// delay turns Nagle's algorithm on.
func delay(nc net.Conn) {
	if tcp, ok := nc.(*net.TCPConn); ok {
		tcp.SetNoDelay(false)
	}
}

// bursts gathers what comes from the target and delivers it on the tick.
type bursts struct {
	t     *tunnel
	every time.Duration
	src   io.Reader
	last  time.Time
	err   error
}

func (b *bursts) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.src.Read(p)
	if err != nil || n == 0 {
		return n, err
	}
	if !b.t.c.p.sleep(time.Until(b.tick())) {
		return n, errCut
	}
	return n + b.gather(p[n:]), nil
}

// tick is the next multiple of the period since the first byte, and the period at least.
func (b *bursts) tick() time.Time {
	if now := time.Now(); b.last.IsZero() || now.Sub(b.last) >= b.every {
		b.last = now
	}
	b.last = b.last.Add(b.every)
	return b.last
}

// gather reads what has come in the meantime. An error is for the next Read.
func (b *bursts) gather(p []byte) (n int) {
	b.t.target.SetReadDeadline(time.Now().Add(time.Millisecond))
	defer b.t.target.SetReadDeadline(time.Time{})
	for n < len(p) {
		m, err := b.src.Read(p[n:])
		n += m
		if isTimeout(err) {
			return n
		}
		if err != nil {
			b.err = err
			return n
		}
	}
	return n
}
