package testproxy

import (
	"io"
	"net"
	"testing"
)

// BenchmarkTunnel sends 64 KiB and gets them back.
func BenchmarkTunnel(b *testing.B) {
	for name, p := range map[string]*Proxy{"http": {}, "https": {TLS: testPKI(b).server}} {
		b.Run(name, func(b *testing.B) {
			start(b, p)
			c := dialRaw(b, p)
			c.connect(echoTarget(b))
			c.expect(200)
			out, in := make([]byte, 64<<10), make([]byte, 64<<10)
			b.SetBytes(int64(2 * len(out)))
			for b.Loop() {
				c.nc.Write(out)
				if _, err := io.ReadFull(c.br, in); err != nil {
					b.Fatal(err)
				}
			}
		})
		p.Close()
	}
}

// BenchmarkConnect opens tunnels with Basic.
func BenchmarkConnect(b *testing.B) {
	p := start(b, &Proxy{Schemes: []Scheme{basicAlice()}})
	head := connectHead("1.1", target(b, func(net.Conn) {}), basicLine("alice", "pässword"))
	for b.Loop() {
		nc, err := net.Dial("tcp", p.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		c := newClient(b, nc)
		c.write(head)
		c.expect(200)
		nc.Close()
	}
}
