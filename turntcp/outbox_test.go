package turntcp

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// slowClient is an outbox whose client is the other end of a pipe, which keeps nothing: what the
// client does not read waits with us. It runs in a synctest bubble, so its clock is the test's.
type slowClient struct {
	*outbox
	conn   net.Conn // the client's end, with TLS
	failed chan error
	counts counters
	wg     sync.WaitGroup
}

func newSlowClient(t *testing.T, transport string, timeout time.Duration) *slowClient {
	t.Helper()
	server, client := net.Pipe()
	s := &slowClient{failed: make(chan error, 10), conn: client}
	sock := newSocket(server, timeout, s.wg.Go, func(err error) { s.failed <- err })
	var nc net.Conn = sock
	if transport == "tls" {
		cert, pool := certificate() // made outside the bubble, whose clock starts in 2000
		secure := tls.Server(sock, serverTLS(serverCertificate()))
		s.conn = tls.Client(client, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1",
			Time: func() time.Time { return cert.Leaf.NotBefore.Add(time.Minute) }})
		s.wg.Go(func() {
			if err := secure.Handshake(); err != nil {
				t.Error(err)
			}
		})
		// TLS 1.3's session ticket is read with the first data.
		if err := s.conn.(*tls.Conn).Handshake(); err != nil {
			t.Fatal(err)
		}
		nc = secure
	}
	synctest.Wait()
	s.outbox = newOutbox(nc, sock, 200*time.Millisecond)
	t.Cleanup(func() {
		client.Close()
		server.Close()
		s.wg.Wait()
	})
	return s
}

// data sends one datagram of so many bytes that tells its number.
func (s *slowClient) data(number uint16, size int) error {
	payload := bytes.Repeat([]byte{byte(number)}, size)
	return s.send(burst{frames: AppendChannelData(nil, 0x4000+number, payload), packets: 1, bytes: size, counts: &s.counts})
}

// read reads frames until the server has nothing more, and returns the channels of the data and how
// many responses there were.
func (s *slowClient) read(t *testing.T) (channels []uint16, responses int) {
	t.Helper()
	frames := NewFrameReader(s.conn, 0)
	_ = s.conn.SetReadDeadline(time.Now().Add(time.Millisecond))
	for {
		f, err := frames.ReadFrame()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return channels, responses
		}
		if err != nil {
			t.Fatalf("after %d frames: %v", len(channels)+responses, err)
		}
		if !f.IsChannelData() {
			responses++
			continue
		}
		if p := f.Payload(); len(p) != bytes.Count(p, []byte{byte(f.Channel())}) {
			t.Fatalf("frame %#x is not whole", f.Channel())
		}
		channels = append(channels, f.Channel()-0x4000)
	}
}

// A client that stops reading for a second then gets what was on its way already, what is younger than
// the limit, and all responses. What lies between has been dropped, in whole frames.
func TestOldDataIsDropped(t *testing.T) {
	_, _ = certificate()
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSlowClient(t, transport, 10*time.Second)
				const n, every, size = 100, 10, 1200
				var want []uint16
				for i := range uint16(n) {
					if err := s.data(i, size); err != nil {
						t.Fatal(err)
					}
					if i%every == 0 {
						if err := s.send(burst{frames: stunFrame(0x0101, 0)}); err != nil {
							t.Fatal(err)
						}
					}
					if age := time.Duration(n-i) * 10 * time.Millisecond; i == 0 || age <= 200*time.Millisecond {
						want = append(want, i)
					}
					time.Sleep(10 * time.Millisecond)
				}
				got, responses := s.read(t)
				if !slices.Equal(got, want) || responses != n/every {
					t.Errorf("got %d and %d responses, want %d and %d", got, responses, want, n/every)
				}
				dropped, sent := s.counts.tooOld.Load(), s.counts.down.packets.Load()
				if int(dropped) != n-len(want) || int(sent) != len(want) {
					t.Errorf("counted %d dropped and %d sent, want %d and %d", dropped, sent, n-len(want), len(want))
				}
				// Afterwards it is as if nothing had been.
				if err := s.data(7, size); err != nil {
					t.Fatal(err)
				}
				if got, _ := s.read(t); !slices.Equal(got, []uint16{7}) {
					t.Errorf("then got %d, want 7", got)
				}
			})
		})
	}
}

// A client that reads always, but less than what comes, gets nothing that is older than the limit and
// what was written before it by one segment.
func TestSlowReaderGetsTheNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlowClient(t, "tcp", 10*time.Second)
		began := time.Now()
		s.wg.Go(func() { // 500 packets a second
			for i := range uint16(2000) {
				if s.data(i, 1200) != nil {
					return
				}
				time.Sleep(2 * time.Millisecond)
			}
		})
		frames := NewFrameReader(s.conn, 0)
		var oldest time.Duration
		for range 250 { // 100 a second
			f, err := frames.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			due := time.Duration(f.Channel()-0x4000) * 2 * time.Millisecond
			oldest = max(oldest, time.Since(began)-due)
			time.Sleep(10 * time.Millisecond)
		}
		// Beyond 200 ms come the segment that was being read, the one written meanwhile, and the
		// reader's buffer: 3 x 13 packets at 10 ms.
		if limit := 600 * time.Millisecond; oldest > limit || oldest < 200*time.Millisecond {
			t.Errorf("the oldest packet was %v old, want 200 ms and up to %v", oldest, limit)
		}
		if s.counts.tooOld.Load() == 0 {
			t.Error("nothing was dropped")
		}
		s.conn.Close()
	})
}

// Data that waits is bounded in bytes too; responses are, with an error.
func TestWaitingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlowClient(t, "tcp", 10*time.Second)
		const n, size = 60, 60000
		for i := range uint16(n) {
			if err := s.data(i, size); err != nil {
				t.Fatal(err)
			}
		}
		const kept = maxQueued / (size + channelHeader)
		if got := s.counts.queueFull.Load(); got != n-1-kept {
			t.Errorf("%d dropped, want %d", got, n-1-kept)
		}
		got, _ := s.read(t)
		want := []uint16{0}
		for i := uint16(n - kept); i < n; i++ {
			want = append(want, i)
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %d, want %d", got, want)
		}
		var err error
		sent := 0
		for ; err == nil && sent < 2*maxReplies; sent += 20 {
			err = s.send(burst{frames: stunFrame(0x0101, 0)})
		}
		if err == nil || sent < maxReplies || !strings.Contains(err.Error(), "unread") {
			t.Errorf("after %d bytes of responses: got %v", sent, err)
		}
	})
}

// A client that reads nothing is given up after the time, or twice that where it took part of a write;
// one that reads a little is not.
func TestWriteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlowClient(t, "tcp", time.Second)
		if err := s.data(1, 10); err != nil {
			t.Fatal(err)
		}
		for range 14 { // a byte at a time, each just within the time
			time.Sleep(900 * time.Millisecond)
			if _, err := io.ReadFull(s.conn, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		err := <-s.failed
		if waited := time.Since(began); !errors.Is(err, os.ErrDeadlineExceeded) || waited > 2*time.Second {
			t.Errorf("after %v: %v, want a deadline after up to 2 s", waited, err)
		}
		synctest.Wait()
		if err := s.data(1, 10); err == nil {
			t.Error("the next write did not fail")
		}
	})
}

// Frames that go out together share records where the client takes TLS for the stream it is, and none is cut.
func TestRecords(t *testing.T) {
	_, _ = certificate()
	const video = channelHeader + 1200
	for _, tt := range []struct {
		name  string
		joins bool
		sizes []int // of frames
		want  []int // sizes of records
	}{
		{"shared", true, []int{video, video, video, video, video, video}, []int{4 * video, 2 * video}},
		{"small ones", true, []int{164, 164, video, 164}, []int{3*164 + video}},
		{"one that is large", true, []int{164, 9004, 164}, []int{164, 9004, 164}},
		{"each its own", false, []int{164, video, 164}, []int{164, video, 164}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSlowClient(t, "tls", 10*time.Second)
				s.joins = tt.joins
				b := burst{packets: len(tt.sizes), counts: &s.counts}
				for _, size := range tt.sizes {
					b.frames = AppendChannelData(b.frames, 0x4000, make([]byte, size-channelHeader))
				}
				if err := s.send(b); err != nil {
					t.Fatal(err)
				}
				_ = s.conn.SetReadDeadline(time.Now().Add(time.Millisecond))
				var got []int
				for buf := make([]byte, maxSegment); ; {
					n, err := s.conn.Read(buf) // of one record
					if err != nil {
						break
					}
					got = append(got, n)
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("got records of %v bytes, want %v", got, tt.want)
				}
			})
		})
	}
}

// Any number of senders, and each frame arrives whole.
func TestFramesNeverInterleave(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			srv, client := tcpPair(t)
			var wg sync.WaitGroup
			sock := newSocket(srv, 10*time.Second, wg.Go, func(err error) { t.Error(err) })
			var nc net.Conn = sock
			if transport == "tls" {
				_, pool := certificate()
				secure := tls.Server(sock, serverTLS(serverCertificate()))
				nc, client = secure, tls.Client(client, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"})
				wg.Go(func() { _ = secure.Handshake() })
				if err := client.(*tls.Conn).Handshake(); err != nil {
					t.Fatal(err)
				}
				wg.Wait()
			}
			o := newOutbox(nc, sock, time.Hour)
			const senders, each, size = 4, 100, 500 // no more than may wait, so that nothing is dropped
			var counts counters
			for i := range senders {
				wg.Go(func() {
					for range each {
						b := burst{frames: AppendChannelData(nil, uint16(0x4000+i), bytes.Repeat([]byte{byte(i)}, size))}
						b.packets, b.counts = 1, &counts
						if i == 0 {
							b = burst{frames: stunFrame(0x0101, size)}
						}
						if err := o.send(b); err != nil {
							t.Error(err)
						}
					}
				})
			}
			frames := NewFrameReader(client, 0)
			_ = client.SetReadDeadline(time.Now().Add(10 * time.Second))
			for i := range senders * each {
				f, err := frames.ReadFrame()
				if err != nil {
					t.Fatalf("after %d frames: %v", i, err)
				}
				if f.IsChannelData() && bytes.Count(f.Payload(), []byte{f[1]}) != size {
					t.Fatalf("frame %d is not whole: %x", i, f)
				}
			}
			wg.Wait()
		})
	}
}

// tcpPair is a TCP connection that holds little, from the one who writes to the one who reads.
func tcpPair(t *testing.T) (from, to net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if to, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { to.Close() })
	_ = to.(*net.TCPConn).SetReadBuffer(32 << 10)
	if from, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { from.Close() })
	return from, to
}

// The same over a real connection through the whole server: while a client reads nothing the server
// drops what gets old, answers, and serves others; then the client gets the newest.
func TestSlowClient(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			srv := newTestServer(t, func(c *Config) {
				allowLoopback(c)
				c.MaxQueueDelay = 50 * time.Millisecond
			})
			conn := dial(t, transport, srv.addr[transport])
			below := conn
			if s, ok := conn.(*tls.Conn); ok {
				below = s.NetConn()
			}
			_ = below.(*net.TCPConn).SetReadBuffer(4096)
			resume := make(chan struct{})
			newest := make(chan struct{})
			var once sync.Once
			c := NewClient(conn, ClientConfig{Username: testUser, Password: testPassword, OnData: func(d Data) {
				<-resume
				if string(d.Payload) == "newest" {
					once.Do(func() { close(newest) })
				}
			}})
			defer c.Close()
			a, err := c.Allocate(context10(t))
			if err != nil {
				t.Fatal(err)
			}
			peer := udpSocket(t)
			if _, err := c.Bind(context10(t), addrPort(peer.LocalAddr())); err != nil {
				t.Fatal(err)
			}
			flow := onlyFlow(t, srv)
			eventually(t, "old data is dropped", func() bool {
				for range 5 { // more than the link takes, less than the queue does
					_, _ = peer.WriteToUDPAddrPort(make([]byte, 1400), a.Relayed)
				}
				return flow.counts.tooOld.Load() > 100
			})
			other, _, _, _ := bound(t, srv, transport)
			if _, err := other.Binding(context10(t)); err != nil {
				t.Errorf("another client: %v", err)
			}
			answered := make(chan error, 1)
			go func() { _, err := c.Binding(context10(t)); answered <- err }()
			close(resume)
			if err := <-answered; err != nil {
				t.Errorf("the answer to what was asked meanwhile: %v", err)
			}
			eventually(t, "the newest arrives", func() bool {
				_, _ = peer.WriteToUDPAddrPort([]byte("newest"), a.Relayed)
				select {
				case <-newest:
					return true
				default:
					return false
				}
			})
		})
	}
}
