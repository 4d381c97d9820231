package testproxy

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// framing is how the end of a body is told.
type framing int

const (
	byLength framing = iota // Content-Length
	byChunks                // Transfer-Encoding: chunked
	byClose                 // the end of the connection
)

// A response is an answer as data, so that a fault can change any part of it before it is written.
type response struct {
	proto   string // "HTTP/1.1"
	status  int
	reason  string
	fields  [][2]string // in the order of the wire
	body    []byte
	framing framing

	close  bool // announced with Connection: close
	hangUp bool // close without having announced it

	delay  time.Duration // before the first byte
	before []byte        // sent ahead: interim responses
	after  []byte        // sent in the same write: the first bytes of the tunnel
	split  bool          // one byte per write
	raw    []byte        // sent instead of all that; empty but not nil: nothing is sent

	v   verdict // of the request that it answers
	why string  // for the record
}

// page is an error page of the size and shape of Squid's.
func (c *conn) page(status int, squid, why string) *response {
	r := &response{proto: "HTTP/1.1", status: status, reason: http.StatusText(status), why: why}
	r.set("Date", time.Now().UTC().Format(http.TimeFormat))
	r.set("Content-Type", "text/html;charset=utf-8")
	if c.p.LikeSquid {
		r.set("Server", "squid/5.7")
		r.set("X-Squid-Error", squid+" 0")
	}
	r.body = errorPage(status, squid)
	return r
}

// errorPage fills about 2 kB, because clients that do not drain the body of a 407 work with a
// short one by luck.
func errorPage(status int, squid string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "<!DOCTYPE html>\n<html><head><title>ERROR: %d %s</title></head>\n<body id=%q>\n<h1>The proxy did not open the tunnel</h1>\n",
		status, http.StatusText(status), squid)
	for b.Len() < 2000 {
		b.WriteString("<p>This page is as long as the error pages of real proxies.</p>\n")
	}
	b.WriteString("</body></html>\n")
	return b.Bytes()
}

// challenge is the 407: with the next token of the handshake in progress, or with all schemes.
func (c *conn) challenge(v verdict) *response {
	r := c.page(http.StatusProxyAuthRequired, "ERR_CACHE_ACCESS_DENIED", v.why())
	if v.challenge != "" {
		r.add("Proxy-Authenticate", v.scheme+" "+v.challenge)
		return r
	}
	for _, s := range c.p.Schemes {
		r.add("Proxy-Authenticate", s.offer())
	}
	return r
}

// established is the 2xx, which has no body (RFC 9110 section 9.3.6).
func (c *conn) established(v verdict) *response {
	r := &response{proto: "HTTP/1.1", status: http.StatusOK, reason: "Connection established"}
	if v.final != "" {
		r.add("Proxy-Authenticate", v.scheme+" "+v.final)
	}
	if v.info != "" {
		r.add("Proxy-Authentication-Info", v.info)
	}
	return r
}

func (r *response) established() bool { return r.status/100 == 2 }

func (r *response) add(name, value string) { r.fields = append(r.fields, [2]string{name, value}) }

func (r *response) set(name, value string) {
	r.del(name)
	r.add(name, value)
}

func (r *response) del(name string) (values []string) {
	kept := r.fields[:0]
	for _, f := range r.fields {
		if strings.EqualFold(f[0], name) {
			values = append(values, f[1])
		} else {
			kept = append(kept, f)
		}
	}
	r.fields = kept
	return values
}

// write sends the response in one write.
func (r *response) write(w io.Writer) error {
	wire := r.wire()
	if !r.split {
		_, err := w.Write(wire)
		return err
	}
	for i := range wire {
		if _, err := w.Write(wire[i : i+1]); err != nil {
			return err
		}
	}
	return nil
}

func (r *response) wire() []byte {
	if r.raw != nil {
		return r.raw
	}
	var b bytes.Buffer
	b.Write(r.before)
	fmt.Fprintf(&b, "%s %d %s\r\n", r.proto, r.status, r.reason)
	for _, f := range r.fields {
		fmt.Fprintf(&b, "%s: %s\r\n", f[0], f[1])
	}
	if r.established() {
		b.WriteString("\r\n")
	} else {
		r.writeBody(&b)
	}
	b.Write(r.after)
	return b.Bytes()
}

func (r *response) writeBody(b *bytes.Buffer) {
	connection := "keep-alive"
	if r.close {
		connection = "close"
	}
	fmt.Fprintf(b, "Connection: %s\r\n", connection)
	switch r.framing {
	case byLength:
		fmt.Fprintf(b, "Content-Length: %d\r\n\r\n%s", len(r.body), r.body)
	case byClose:
		fmt.Fprintf(b, "\r\n%s", r.body)
	case byChunks:
		b.WriteString("Transfer-Encoding: chunked\r\n\r\n")
		for rest := r.body; len(rest) > 0; {
			n := min(len(rest), 700)
			fmt.Fprintf(b, "%x;lab=1\r\n%s\r\n", n, rest[:n])
			rest = rest[n:]
		}
		b.WriteString("0\r\nX-Trailer: end\r\n\r\n")
	}
}
