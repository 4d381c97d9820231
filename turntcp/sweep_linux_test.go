package turntcp

import (
	"crypto/tls"
	"net"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A corked connection keeps what is written until it is closed: then data and FIN are one packet.
type corked struct {
	*net.TCPConn
	cork bool
}

func (c *corked) Write(p []byte) (n int, err error) {
	if !c.cork {
		return c.TCPConn.Write(p)
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	failed := raw.Write(func(fd uintptr) bool {
		n, err = unix.SendmsgN(int(fd), p, nil, nil, unix.MSG_MORE)
		return err != syscall.EAGAIN
	})
	if failed != nil {
		return 0, failed
	}
	return n, err
}

// The end of a connection is seen although it came with data, by one event, to which a short read was the
// answer; and so is the end of one that was reset behind its data.
func TestEndBehindData(t *testing.T) {
	ends := map[string]func(*corked){
		"FIN": func(c *corked) { c.Close() },
		"RST": func(c *corked) { _ = c.SetLinger(0); c.Close() },
	}
	for _, transport := range transports {
		for name, end := range ends {
			t.Run(transport+"/"+name, func(t *testing.T) {
				t.Parallel()
				srv := newTestServer(t, allowLoopback)
				for range 10 {
					nc, err := net.Dial("tcp", srv.addr[transport])
					if err != nil {
						t.Fatal(err)
					}
					below := &corked{TCPConn: nc.(*net.TCPConn)}
					conn := net.Conn(below)
					if transport == "tls" {
						_, pool := certificate()
						conn = tls.Client(below, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"})
					}
					c := newTestClient(t, conn, ClientConfig{})
					c.allocate(t)
					number, err := c.Bind(context10(t), addrPort(udpSocket(t).LocalAddr()))
					if err != nil {
						t.Fatal(err)
					}
					below.cork = name == "FIN"
					if err := c.WriteChannel(number, []byte("the last")); err != nil {
						t.Fatal(err)
					}
					end(below)
				}
				expectNothingLeft(t, srv)
			})
		}
	}
}
