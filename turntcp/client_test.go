package turntcp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/stun/v4"
)

// script answers each message of a client with what reply returns, over a net.Pipe whose addresses
// say nothing, as those of a tunnel.
func script(t *testing.T, reply func(m *stun.Message) []byte) *testClient {
	t.Helper()
	server, client := net.Pipe()
	done := make(chan struct{})
	t.Cleanup(func() { server.Close(); <-done })
	go func() {
		defer close(done)
		defer server.Close()
		frames := NewFrameReader(server, 0)
		for {
			f, err := frames.ReadFrame()
			if err != nil {
				return
			}
			m := new(stun.Message)
			if err := stun.Decode(f, m); err != nil {
				t.Errorf("the client sent %x: %v", f, err)
				return
			}
			answer := reply(m)
			if answer == nil {
				return
			}
			if _, err := server.Write(answer); err != nil {
				return
			}
		}
	}()
	return newTestClient(t, client, ClientConfig{})
}

var testKey = stun.NewLongTermIntegrity(testUser, testRealm, testPassword)

func answer(m *stun.Message, class stun.MessageClass, setters ...stun.Setter) []byte {
	setters = append([]stun.Setter{m, stun.NewType(m.Type.Method, class)}, setters...)
	return stun.MustBuild(setters...).Raw
}

func challenge(m *stun.Message, code stun.ErrorCode, nonce string) []byte {
	return answer(m, stun.ClassErrorResponse, code, stun.NewRealm(testRealm), stun.NewNonce(nonce))
}

var lifetime600 = stun.RawAttribute{Type: stun.AttrLifetime, Value: []byte{0, 0, 2, 0x58}}

// A Refresh against servers that answer by a list, the last one for ever.
func TestChallenges(t *testing.T) {
	type step func(m *stun.Message) []byte
	first := func(m *stun.Message) []byte { return challenge(m, stun.CodeUnauthorized, "first") }
	stale := func(m *stun.Message) []byte { return challenge(m, stun.CodeStaleNonce, "second") }
	ok := func(m *stun.Message) []byte { return answer(m, stun.ClassSuccessResponse, lifetime600, testKey) }
	unsigned := func(m *stun.Message) []byte { return answer(m, stun.ClassSuccessResponse, lifetime600) }
	forged := func(m *stun.Message) []byte {
		return answer(m, stun.ClassSuccessResponse, lifetime600, stun.NewLongTermIntegrity(testUser, testRealm, "guess"))
	}
	refusal := func(m *stun.Message) []byte {
		return answer(m, stun.ClassErrorResponse, stun.CodeAllocMismatch, testKey)
	}
	nonces := 0
	alwaysStale := func(m *stun.Message) []byte {
		nonces++
		return challenge(m, stun.CodeStaleNonce, fmt.Sprint("nonce ", nonces))
	}
	tests := []struct {
		name  string
		steps []step
		want  string // the error; "" for none
		asked int
	}{
		{"no challenge", []step{unsigned}, "", 1},
		{"401", []step{first, ok}, "", 2},
		{"401, then 438", []step{first, stale, ok}, "", 3},
		{"401 for ever", []step{first}, "Refresh: error 401 (Unauthorized)", 2},
		{"438 with the same nonce", []step{first, stale}, "Refresh: error 438 (Stale Nonce)", 3},
		{"438 for ever", []step{first, alwaysStale}, "Refresh: error 438 (Stale Nonce)", 4},
		{"401 without realm", []step{func(m *stun.Message) []byte {
			return answer(m, stun.ClassErrorResponse, stun.CodeUnauthorized)
		}}, "Refresh: error 401 (Unauthorized)", 1},
		{"unsigned success", []step{first, unsigned}, "Refresh: " + ErrIntegrity.Error(), 2},
		{"forged success", []step{first, forged}, "Refresh: " + ErrIntegrity.Error(), 2},
		{"error", []step{first, refusal}, "Refresh: error 437 (Allocation Mismatch)", 2},
		{"unsigned error", []step{first, func(m *stun.Message) []byte {
			return answer(m, stun.ClassErrorResponse, stun.ErrorCodeAttribute{Code: 486})
		}}, "Refresh: error 486 (Allocation Quota Reached), not signed by the server", 2},
		{"error without code", []step{func(m *stun.Message) []byte {
			return answer(m, stun.ClassErrorResponse)
		}}, "Refresh: error response without a code: attribute not found", 1},
		{"success without lifetime", []step{func(m *stun.Message) []byte {
			return answer(m, stun.ClassSuccessResponse)
		}}, "Refresh: the response has no valid LIFETIME", 1},
		{"another method", []step{func(m *stun.Message) []byte {
			return stun.MustBuild(m, stun.NewType(stun.MethodAllocate, stun.ClassSuccessResponse)).Raw
		}}, "Refresh: the response is to Allocate", 1},
		{"closed", []step{func(*stun.Message) []byte { return nil }}, "Refresh: EOF", 1},
		{"garbage", []step{func(*stun.Message) []byte { return []byte("\xff\xff\xff\xff") }},
			"Refresh: read from TURN server: neither STUN nor ChannelData: first byte 0xff", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			asked := make(chan *stun.Message, 100)
			c := script(t, func(m *stun.Message) []byte {
				asked <- m
				return tt.steps[min(len(asked), len(tt.steps))-1](m)
			})
			lifetime, err := c.Refresh(context10(t), 600*time.Second)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != tt.want || err == nil && lifetime != 600*time.Second {
				t.Errorf("got %v, %q, want error %q", lifetime, got, tt.want)
			}
			if len(asked) != tt.asked {
				t.Errorf("asked %d times, want %d", len(asked), tt.asked)
			}
			if m := <-asked; m.Contains(stun.AttrMessageIntegrity) || m.Contains(stun.AttrUsername) {
				t.Error("the first request shows credentials before a challenge")
			}
		})
	}
}

func TestPipelinedTransactions(t *testing.T) {
	const n = 10
	var held []byte
	count := 0
	c := script(t, func(m *stun.Message) []byte {
		count++ // the answers come in reverse order, all at once
		held = append(answer(m, stun.ClassSuccessResponse, &stun.XORMappedAddress{IP: net.IPv4(192, 0, 2, 1), Port: 1000 + count}), held...)
		if count < n {
			return []byte{}
		}
		return held
	})
	ports := make(chan uint16, n)
	for range n {
		go func() {
			mapped, err := c.Binding(context10(t))
			if err != nil {
				t.Errorf("binding: %v", err)
			}
			ports <- mapped.Port()
		}()
	}
	seen := make(map[uint16]bool)
	for range n {
		seen[<-ports] = true
	}
	if len(seen) != n {
		t.Errorf("got %d different responses, want %d", len(seen), n)
	}
}

func TestContextEndsATransactionOnly(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var late []byte
	c := script(t, func(m *stun.Message) []byte {
		response := answer(m, stun.ClassSuccessResponse, &stun.XORMappedAddress{IP: net.IPv4(192, 0, 2, 1), Port: 1})
		if late == nil {
			late = response
			cancel()
			return []byte{}
		}
		return append(late, response...)
	})
	if _, err := c.Binding(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if mapped, err := c.Binding(context10(t)); err != nil || mapped.String() != "192.0.2.1:1" {
		t.Errorf("the next one: got %v, %v", mapped, err)
	}
	if len(c.pending) != 0 {
		t.Errorf("%d transactions are remembered", len(c.pending))
	}
}

func TestTransactionTimeout(t *testing.T) {
	c := script(t, func(*stun.Message) []byte { return []byte{} })
	c.cfg.Timeout = 10 * time.Millisecond
	if _, err := c.Binding(context.Background()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
	}
}

func TestClientWriteTimeout(t *testing.T) {
	server, client := net.Pipe() // nobody reads
	defer server.Close()
	c := newTestClient(t, client, ClientConfig{WriteTimeout: 10 * time.Millisecond})
	if err := c.WriteChannel(0x4000, []byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want %v", err, os.ErrDeadlineExceeded)
	}
	<-c.Done()
	if err := c.Err(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the client ended by %v, want %v", err, os.ErrDeadlineExceeded)
	}
}

func TestClientClose(t *testing.T) {
	c := script(t, func(*stun.Message) []byte { return []byte{} })
	waiting := make(chan error)
	go func() {
		_, err := c.Binding(context.Background())
		waiting <- err
	}()
	eventually(t, "a transaction waits", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.pending) == 1
	})
	for range 2 {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if err := <-waiting; !errors.Is(err, ErrClosed) {
		t.Errorf("the transaction ended by %v, want %v", err, ErrClosed)
	}
	if err := c.WriteChannel(0x4000, nil); err != ErrClosed {
		t.Errorf("write: got %v, want %v", err, ErrClosed)
	}
}

func TestChannelsRunOut(t *testing.T) {
	c := script(t, func(m *stun.Message) []byte { return answer(m, stun.ClassSuccessResponse) })
	channels := make([]netip.AddrPort, lastChannel-firstChannel)
	c.channels.Store(&channels)
	peer := netip.MustParseAddrPort("192.0.2.1:1")
	for range 2 { // the second refreshes the first
		if number, err := c.Bind(context10(t), peer); err != nil || number != lastChannel {
			t.Errorf("got %#x, %v, want %#x", number, err, lastChannel)
		}
	}
	if number, err := c.Bind(context10(t), netip.MustParseAddrPort("192.0.2.1:2")); err == nil {
		t.Errorf("got %#x beyond the last", number)
	}
}

// Addresses and Send indications as pion reads and writes them.
func TestAttributesAgainstPion(t *testing.T) {
	for _, s := range []string{"192.0.2.1:0", "255.255.255.255:65535", "[2001:db8::1]:3478", "[::ffff:192.0.2.1]:8466"} {
		peer := netip.MustParseAddrPort(s)
		want := netip.AddrPortFrom(peer.Addr().Unmap(), peer.Port())
		for _, size := range []int{0, 1, 4, 1200, maxSend} {
			payload := bytes.Repeat([]byte("p"), size)
			m := new(stun.Message)
			if err := stun.Decode(appendIndication(nil, typeSendIndication, peer, payload), m); err != nil {
				t.Fatal(err)
			}
			var x stun.XORMappedAddress
			if err := x.GetFromAs(m, stun.AttrXORPeerAddress); err != nil {
				t.Fatal(err)
			}
			ip, _ := netip.AddrFromSlice(x.IP)
			data, err := m.Get(stun.AttrData)
			if got := netip.AddrPortFrom(ip, uint16(x.Port)); got != want || err != nil || !bytes.Equal(data, payload) {
				t.Errorf("pion reads %v and %d bytes (%v), want %v and %d", got, len(data), err, want, size)
			}
			indication := stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodData, stun.ClassIndication),
				xorPeer{x}, stun.RawAttribute{Type: stun.AttrData, Value: payload})
			got, read, ok := parseIndication(Frame(indication.Raw))
			if !ok || got != want || !bytes.Equal(read, payload) {
				t.Errorf("got %v and %d bytes, want %v and %d", got, len(read), want, size)
			}
		}
	}
}

type xorPeer struct{ stun.XORMappedAddress }

func (x xorPeer) AddTo(m *stun.Message) error { return x.AddToAs(m, stun.AttrXORPeerAddress) }

func TestMalformedDataIndications(t *testing.T) {
	tests := []struct{ name, attributes string }{
		{"empty", ""},
		{"no data", "\x00\x12\x00\x08\x00\x01\x00\x00\x00\x00\x00\x00"},
		{"no peer", "\x00\x13\x00\x01x\x00\x00\x00"},
		{"empty peer", "\x00\x12\x00\x00\x00\x13\x00\x01x\x00\x00\x00"},
		{"IPv4 peer of 16 bytes", "\x00\x12\x00\x14\x00\x01" + strings.Repeat("\x00", 18) + "\x00\x13\x00\x01x\x00\x00\x00"},
		{"unknown family", "\x00\x12\x00\x08\x00\x03\x00\x00\x00\x00\x00\x00\x00\x13\x00\x01x\x00\x00\x00"},
		{"longer than the message", "\x00\x13\x00\x09x\x00\x00\x00"},
	}
	for _, tt := range tests {
		f := append(stunFrame(typeDataIndication, len(tt.attributes))[:stunHeader], tt.attributes...)
		if peer, payload, ok := parseIndication(f); ok {
			t.Errorf("%s: got %v and %q", tt.name, peer, payload)
		}
	}
}

func TestSendTooLong(t *testing.T) {
	c := script(t, func(*stun.Message) []byte { return nil })
	if err := c.Send(netip.MustParseAddrPort("192.0.2.1:1"), make([]byte, maxSend+1)); err == nil {
		t.Error("a Send indication that its length field cannot tell was sent")
	}
}

// discardConn takes everything and has nothing to read until it is closed.
type discardConn struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

func (d *discardConn) Write(p []byte) (int, error)      { return len(p), nil }
func (d *discardConn) SetWriteDeadline(time.Time) error { return nil }
func (d *discardConn) Read([]byte) (int, error)         { <-d.closed; return 0, io.EOF }
func (d *discardConn) Close() error                     { d.once.Do(func() { close(d.closed) }); return nil }

func TestHotPathAllocatesNothing(t *testing.T) {
	got := 0
	c := NewClient(&discardConn{closed: make(chan struct{})}, ClientConfig{OnData: func(d Data) { got += len(d.Payload) }})
	defer c.Close()
	payload := make([]byte, 1200)
	peer := netip.MustParseAddrPort("192.0.2.1:1")
	channels := []netip.AddrPort{peer}
	c.channels.Store(&channels)
	train := AppendChannelData(nil, 0x4000, payload)
	indication := Frame(appendIndication(nil, typeSendIndication, peer, payload))
	indication[1] = typeDataIndication
	incoming := NewFrameReader(repeat(append(bytes.Clone(train), indication...)), 0)
	tests := map[string]func(){
		"WriteChannel": func() { _ = c.WriteChannel(0x4000, payload) },
		"WriteFrames":  func() { train = AppendChannelData(train[:0], 0x4000, payload); _ = c.WriteFrames(train) },
		"Send":         func() { _ = c.Send(peer, payload) },
		"receive": func() {
			for range 2 {
				f, err := incoming.ReadFrame()
				if err != nil {
					t.Fatal(err)
				}
				c.receive(f)
			}
		},
	}
	for name, f := range tests {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	if want := 101 * 2 * 1200; got != want {
		t.Errorf("received %d bytes, want %d", got, want)
	}
}
