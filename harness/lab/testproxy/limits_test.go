package testproxy

import (
	"bytes"
	"io"
	"sync"
	"testing"
	"time"
)

// tunnelOf opens a tunnel to an echo through a proxy with limits.
func tunnelOf(t *testing.T, p *Proxy, lines ...string) *client {
	t.Helper()
	c := dialRaw(t, p)
	c.connect(echoTarget(t), lines...)
	c.expect(200)
	return c
}

// took is how long f took, which no machine makes shorter.
func took(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

func TestLimitOfTunnels(t *testing.T) {
	p := start(t, &Proxy{Limits: Limits{Tunnels: 2}})
	first, second := tunnelOf(t, p), tunnelOf(t, p)
	third := dialRaw(t, p)
	third.connect(echoTarget(t))
	third.expect(503)
	first.nc.Close()
	for deadline := time.Now().Add(5 * time.Second); p.capacity.tunnels() > 1; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a closed tunnel still counts")
		}
	}
	fourth := tunnelOf(t, p)
	second.echo("second")
	fourth.echo("fourth")
}

func TestLimitOfRate(t *testing.T) {
	const bytesEach, mbps = 40_000, 8 // two tunnels share a megabyte per second: 80 ms
	p := start(t, &Proxy{Limits: Limits{Mbps: mbps}})
	clients := []*client{tunnelOf(t, p), tunnelOf(t, p)}
	d := took(func() {
		var all sync.WaitGroup
		for _, c := range clients {
			all.Go(func() { exchangeBytes(t, c, bytesEach) })
		}
		all.Wait()
	})
	if least := 2 * bytesEach * 8 * time.Second / (mbps * 1e6); d < least {
		t.Errorf("2 x %d bytes took %v, want at least %v", bytesEach, d, least)
	}
}

// exchangeBytes sends n bytes and reads them back.
func exchangeBytes(t *testing.T, c *client, n int) {
	go c.nc.Write(bytes.Repeat([]byte("x"), n))
	if _, err := io.CopyN(io.Discard, c.nc, int64(n)); err != nil {
		t.Error(err)
	}
}

func TestLimitDelaysWithoutLimitingTheRate(t *testing.T) {
	const delay = 60 * time.Millisecond
	p := start(t, &Proxy{Limits: Limits{Delay: delay}})
	c := tunnelOf(t, p)
	if d := took(func() { c.echo("there and back") }); d < 2*delay {
		t.Errorf("an echo took %v, want at least %v", d, 2*delay)
	}
	// A hundred packets in flight take the same delay, not a hundred of them.
	if d := took(func() { exchangeBytes(t, c, 100<<10) }); d < 2*delay || d > 50*delay {
		t.Errorf("100 KiB took %v, want %v and little more", d, 2*delay)
	}
}

func TestLimitOfHelpers(t *testing.T) {
	const each = 40 * time.Millisecond
	p := start(t, &Proxy{Schemes: []Scheme{basicAlice()}, Limits: Limits{Helpers: 2, HelperTime: each}})
	d := took(func() {
		var all sync.WaitGroup
		for range 6 {
			c := dialRaw(t, p)
			all.Go(func() {
				c.connect(echoTarget(t), "Proxy-Authorization: Basic YWxpY2U6c2VjcmV0")
				c.answer()
			})
		}
		all.Wait()
	})
	if d < 3*each {
		t.Errorf("6 verifications by 2 helpers took %v, want at least %v", d, 3*each)
	}
}

func TestStall(t *testing.T) {
	const d = 150 * time.Millisecond
	p := start(t, &Proxy{Limits: Limits{Stalls: true}})
	c := tunnelOf(t, p)
	c.echo("before")
	p.Stall(d)
	if got := took(func() { c.echo("during") }); got < d*9/10 {
		t.Errorf("an echo during a stall of %v took %v", d, got)
	}
	c.echo("after")
}

// Close must not wait for what is delayed or stalled.
func TestCloseDuringLimits(t *testing.T) {
	p := start(t, &Proxy{Limits: Limits{Delay: time.Hour, Stalls: true, Mbps: 0.001}})
	c := tunnelOf(t, p)
	c.write("on its way for an hour")
	done := make(chan struct{})
	go func() { defer close(done); p.Close() }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("Close waits for a delayed byte")
	}
}
