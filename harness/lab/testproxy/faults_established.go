package testproxy

import (
	"fmt"
	"net/http"
	"time"
)

// establishedFaults change how the 2xx is written.
var establishedFaults = []faultSpec{
	{FaultInfo{"200.content-length", "", 36, "the 200 has a Content-Length, to be ignored (RFC 9110 section 9.3.6)"},
		always(on2xx(func(_ *exchange, r *response) { r.set("Content-Length", "1000") }))},
	{FaultInfo{"200.chunked", "", 36, "the 200 has Transfer-Encoding: chunked, to be ignored"},
		always(on2xx(func(_ *exchange, r *response) { r.set("Transfer-Encoding", "chunked") }))},
	{FaultInfo{"200.close", "", 36, "the 200 has Connection: close, and the tunnel stays"},
		always(on2xx(func(_ *exchange, r *response) { r.set("Connection", "close") }))},
	{FaultInfo{"200.http10", "", 0, "the 200 is HTTP/1.0 with Proxy-agent, as from Apache and tinyproxy"},
		always(on2xx(func(_ *exchange, r *response) {
			r.proto = "HTTP/1.0"
			r.set("Proxy-agent", "Apache/2.4.71 (Debian)")
		}))},
	{FaultInfo{"2xx", "204", 9, "another 2xx than 200"},
		withNumber(200, 299, func(n int) hooks {
			return on2xx(func(_ *exchange, r *response) { r.status, r.reason = n, http.StatusText(n) })
		})},
	{FaultInfo{"1xx", "103", 0, "an interim response of this status before the 2xx"},
		withNumber(100, 199, func(n int) hooks {
			return on2xx(func(_ *exchange, r *response) {
				r.before = fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nLink: </lab>; rel=preload\r\n\r\n", n, http.StatusText(n))
			})
		})},
	{FaultInfo{"tunnels", "1", 0, "503 to more tunnels than so many at a time, as with a limit on the connections of a user"},
		withNumber(1, 1<<20, func(n int) hooks {
			return on2xx(func(x *exchange, r *response) {
				if x.c.p.capacity.tunnels() > n {
					*r = *x.c.full()
					r.close = true
				}
			})
		})},
	{FaultInfo{"200.slow", "2s", 0, "the 2xx comes this late"},
		withDuration(func(d time.Duration) hooks { return on2xx(func(_ *exchange, r *response) { r.delay = d }) })},
	{FaultInfo{"200.glued", "1s", 37, "the target's first bytes come in one write with the 2xx, which waits for them up to so long"},
		withDuration(func(d time.Duration) hooks { return on2xx(func(x *exchange, r *response) { x.c.tunnel.glue(r, d) }) })},
	{FaultInfo{"200.glued-text", "hello", 37, "this text comes in one write with the 2xx, as if the target had sent it"},
		func(text string) (hooks, error) {
			return on2xx(func(x *exchange, r *response) {
				r.after = append(r.after, text...)
				x.c.tunnel.down.bytes += int64(len(text))
			}), nil
		}},
	{FaultInfo{"split", "", 0, "every answer comes one byte per write"},
		always(hooks{answer: func(_ *exchange, r *response) { r.split = true }})},
}

// glue waits for the target's first bytes and sends them with the response.
func (t *tunnel) glue(r *response, wait time.Duration) {
	first := make([]byte, 16<<10)
	t.target.SetReadDeadline(time.Now().Add(wait))
	n, _ := t.target.Read(first) // an error comes again when the tunnel reads
	t.target.SetReadDeadline(time.Time{})
	r.after = append(r.after, first[:n]...)
	t.down.bytes += int64(n)
}
