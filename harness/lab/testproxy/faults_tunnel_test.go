package testproxy

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

const tlsBytes = "\x16\x03\x01\x00\x05hello"

func headOfTunnel(t *testing.T, fault, want string) *client {
	t.Helper()
	c := dialRaw(t, start(t, withFaults(t, fault)))
	c.connect(echoTarget(t))
	if head := c.head(); !strings.Contains(head, want) {
		t.Errorf("head %q, want %q in it", head, want)
	}
	c.echo(tlsBytes)
	return c
}

func tunnelAfter(t *testing.T, fault string, lines ...string) {
	t.Helper()
	c := dialRaw(t, start(t, refusing(fault)))
	c.connect(echoTarget(t), lines...)
	c.expect(200)
	c.echo("through")
}

func testInterim(t *testing.T) {
	for fault, want := range map[string]string{"1xx": "HTTP/1.1 103 ", "1xx=100": "HTTP/1.1 100 "} {
		c := headOfTunnelAfter(t, fault, want)
		if head := c.head(); !strings.HasPrefix(head, "HTTP/1.1 200 ") {
			t.Errorf("second head %q, want the 200", head)
		}
		c.echo("through")
	}
}

func headOfTunnelAfter(t *testing.T, fault, want string) *client {
	t.Helper()
	c := dialRaw(t, start(t, withFaults(t, fault)))
	c.connect(echoTarget(t))
	if head := c.head(); !strings.HasPrefix(head, want) {
		t.Errorf("head %q, want %q", head, want)
	}
	return c
}

func testGlued(t *testing.T) {
	speaks := target(t, func(nc net.Conn) {
		io.WriteString(nc, "220 first bytes")
		io.Copy(nc, nc)
	})
	oneSegment(t, "200.glued", speaks, "220 first bytes")
	headOfTunnel(t, "200.glued=50ms", "HTTP/1.1 200 ") // to a target that waits for the client
}

func oneSegment(t *testing.T, fault, target, want string) {
	t.Helper()
	p := start(t, withFaults(t, fault))
	c := dialRaw(t, p)
	c.connect(target)
	buf := make([]byte, 4096)
	n, err := c.nc.Read(buf)
	if err != nil || !bytes.HasSuffix(buf[:n], []byte("\r\n\r\n"+want)) {
		t.Fatalf("first segment %q (%v), want it to end with %q", buf[:n], err, want)
	}
	c.echo("more")
	c.nc.Close()
	if r := lastRecord(t, p, 200); r.Down != int64(len(want)+4) {
		t.Errorf("%d bytes down, want %d", r.Down, len(want)+4)
	}
}

func wantReset(t *testing.T, fault, first string) {
	t.Helper()
	silent := target(t, func(nc net.Conn) {
		if got, _ := io.ReadAll(nc); len(got) > 0 {
			t.Errorf("the target got %q", got)
		}
	})
	c := dialRaw(t, start(t, withFaults(t, fault)))
	c.connect(silent)
	c.expect(200)
	c.write(first)
	if _, err := c.br.ReadByte(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after %q: %v, want a reset", first, err)
	}
}

func testCutBytes(t *testing.T) {
	speaks := target(t, func(nc net.Conn) { nc.Write(make([]byte, 100000)) })
	c := dialRaw(t, start(t, withFaults(t, "tunnel.cut-bytes=70000")))
	c.connect(speaks)
	c.expect(200)
	if n, _ := io.Copy(io.Discard, c.br); n != 70000 {
		t.Errorf("%d bytes, want 70000", n)
	}
}

func testBursts(t *testing.T) {
	const packets = 40
	speaks := target(t, func(nc net.Conn) {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for range packets {
			<-tick.C
			nc.Write(make([]byte, 100))
		}
	})
	c := dialRaw(t, start(t, withFaults(t, "tunnel.bursts=200ms")))
	c.connect(speaks)
	c.expect(200)
	var arrivals []time.Time
	total, largest := 0, 0
	for buf := make([]byte, 64<<10); ; {
		n, err := c.br.Read(buf)
		if n > 0 {
			arrivals = append(arrivals, time.Now())
			total, largest = total+n, max(largest, n)
		}
		if err != nil {
			break
		}
	}
	if total != 100*packets || largest < 1000 || len(arrivals) > 6 {
		t.Errorf("%d bytes in %d bursts, the largest of %d; want %d bytes in about 3", total, len(arrivals), largest, 100*packets)
	}
}

func testIntercept(t *testing.T) {
	cert := testPKI(t)
	p := withFaults(t, "tls.intercept")
	inner := interceptedEcho(t, p, cert.server)
	if _, err := inner(&tls.Config{ServerName: "localhost", RootCAs: cert.pool}); !errors.As(err, new(x509.UnknownAuthorityError)) {
		t.Errorf("a client that does not know the inspection CA: %v, want an unknown authority", err)
	}
	ca, err := p.InspectionCA()
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	for _, name := range []string{"localhost", "127.0.0.1"} { // the latter without SNI
		tc, err := inner(&tls.Config{ServerName: name, RootCAs: pool})
		if err != nil {
			t.Fatalf("a client that knows the inspection CA: %v", err)
		}
		if got := tc.ConnectionState().PeerCertificates[0].Issuer.CommonName; got != ca.Subject.CommonName {
			t.Errorf("issuer %q, want %q", got, ca.Subject.CommonName)
		}
		newClient(t, tc).echo("\x00\x03 not HTTP")
	}
	plain := dialRaw(t, p)
	plain.connect(echoTarget(t))
	plain.expect(200)
	plain.echo("plain text passes")
}

func testInterceptHTTP(t *testing.T) {
	p := withFaults(t, "tls.intercept-http")
	inner := interceptedEcho(t, p, testPKI(t).server)
	for text, passes := range map[string]bool{"GET / HTTP/1.1\r\n": true, "\x00\x03\x00\x08": false} {
		tc, err := inner(&tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		c := newClient(t, tc)
		c.write(text)
		if passes {
			c.read(text)
		} else {
			c.eof()
		}
	}
}

func interceptedEcho(t *testing.T, p *Proxy, server *tls.Config) func(*tls.Config) (*tls.Conn, error) {
	start(t, p)
	echo := target(t, func(nc net.Conn) {
		tc := tls.Server(nc, server)
		io.Copy(tc, tc)
	})
	return func(cfg *tls.Config) (*tls.Conn, error) {
		c := dialRaw(t, p)
		c.connect(echo)
		c.expect(200)
		tc := tls.Client(c.nc, cfg)
		return tc, tc.Handshake()
	}
}
