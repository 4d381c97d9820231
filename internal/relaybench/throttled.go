//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/turngate/turngate/turntcp"
)

// A peer sends twice what the link to its client carries.
const (
	throttledSize   = 1200     // bytes of payload
	throttledBuffer = 16 << 10 // the client's receive buffer, in bytes: what waits there is not the server's
	throttledAfter  = 500 * time.Millisecond
)

// measureThrottled tells how old is what a client behind a slow link gets.
func measureThrottled(ctx context.Context, s settings, l *link, srv *server, transport string) (results, error) {
	every := time.Duration(throttledSize*8) * time.Microsecond / time.Duration(2*s.link)
	length := time.Duration(s.seconds * float64(time.Second))
	// The link's own delay is that of a tenth of what it can carry.
	own, err := delays(ctx, l, srv.addr[transport], transport, 20*every, time.Second)
	if err != nil {
		return nil, err
	}
	r := result{load: "throttled", way: "down"}
	slow, err := delays(ctx, l, srv.addr[transport], transport, every, length)
	if err != nil {
		return nil, err
	}
	r.offered, r.sent, r.took = slow.sent, slow.sent, length
	r.relayed, r.relayedWithin = uint64(len(slow.all)), length+throttledAfter
	r.median, r.p99, r.ownP99 = slow.percentile(50), slow.percentile(99), own.percentile(99)
	return results{r}, nil
}

// arrivals are the delays of what arrived, sorted, of so many packets.
type arrivals struct {
	all  []time.Duration
	sent uint64
}

func (a arrivals) percentile(p int) time.Duration { return a.all[len(a.all)*p/100] }

// delays has a peer send to a client at the far end for a while.
func delays(ctx context.Context, l *link, addr, transport string, every, length time.Duration) (a arrivals, err error) {
	nc, err := dialFar(ctx, l, addr, transport)
	if err != nil {
		return a, err
	}
	var mu sync.Mutex
	began := time.Now()
	c := turntcp.NewClient(nc, turntcp.ClientConfig{Username: user, Password: password, OnData: func(d turntcp.Data) {
		due := time.Duration(binary.BigEndian.Uint64(d.Payload))
		mu.Lock()
		a.all = append(a.all, time.Since(began)-due)
		mu.Unlock()
	}})
	defer c.Close()
	allocation, err := c.Allocate(ctx)
	if err != nil {
		return a, err
	}
	var peer *net.UDPConn
	err = within(l.near.netns, func() (err error) {
		peer, err = net.ListenUDP("udp4", &net.UDPAddr{IP: l.near.ip.AsSlice()})
		return err
	})
	if err != nil {
		return a, err
	}
	defer peer.Close()
	if _, err := c.Bind(ctx, peer.LocalAddr().(*net.UDPAddr).AddrPort()); err != nil {
		return a, err
	}
	payload := make([]byte, throttledSize)
	first := time.Since(began)
	for due := first; due < first+length && ctx.Err() == nil; due += every {
		time.Sleep(due - time.Since(began))
		binary.BigEndian.PutUint64(payload, uint64(due))
		if _, err := peer.WriteToUDPAddrPort(payload, allocation.Relayed); err != nil {
			return a, err
		}
		a.sent++
	}
	time.Sleep(throttledAfter) // what is under way
	c.Close()
	if len(a.all) == 0 {
		return a, errors.New("nothing arrived")
	}
	slices.Sort(a.all)
	return a, ctx.Err()
}

// dialFar connects from the far end of the link.
func dialFar(ctx context.Context, l *link, addr, transport string) (nc net.Conn, err error) {
	d := net.Dialer{Timeout: 10 * time.Second, Control: func(_, _ string, raw syscall.RawConn) (err error) {
		failed := raw.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, throttledBuffer)
		})
		return errors.Join(failed, err)
	}}
	err = within(l.far, func() (err error) { nc, err = d.DialContext(ctx, "tcp", addr); return err })
	if err == nil && transport == "tls" {
		nc = tls.Client(nc, clientTLS)
	}
	return nc, err
}
