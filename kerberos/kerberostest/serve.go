package kerberostest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/turngate/turngate/kerberos/internal/krb5"
)

const (
	maxRequest  = 1 << 17          // bytes of a request over TCP
	maxConns    = 64               // connections served at a time
	idleTimeout = 30 * time.Second // of a connection
)

// Start listens on a free port of 127.0.0.1, TCP and UDP, and returns at once. Close stops it.
func (k *KDC) Start() error {
	if err := k.addTGS(); err != nil {
		return err
	}
	l, u, err := listen()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	k.mu.Lock()
	if k.stop != nil {
		k.mu.Unlock()
		cancel()
		l.Close()
		u.Close()
		return errStarted
	}
	k.packets = u
	k.stop = sync.OnceFunc(func() { cancel(); l.Close(); u.Close() })
	k.mu.Unlock()
	k.serving.Go(func() { k.serveTCP(ctx, l) })
	k.serving.Go(func() { k.serveUDP(ctx, u) })
	return nil
}

func (k *KDC) addTGS() error {
	if k.find(krb5.TGS(k.Realm), k.Realm) != nil {
		return nil
	}
	return k.add(krb5.TGS(k.Realm), k.Realm, "", krb5.NewKey)
}

// listen takes a port that is free for both transports; another process may hold it for one.
func listen() (l net.Listener, u net.PacketConn, err error) {
	for range 20 {
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return nil, nil, err
		}
		if u, err = net.ListenPacket("udp", l.Addr().String()); err == nil {
			return l, u, nil
		}
		l.Close()
	}
	return nil, nil, err
}

// Close stops listening, closes all connections and waits until every request is done. It may be
// called more than once, and before Start.
func (k *KDC) Close() error {
	k.mu.Lock()
	stop := k.stop
	k.mu.Unlock()
	if stop != nil {
		stop()
	}
	k.serving.Wait()
	return nil
}

// serveUDP answers datagrams side by side, so that one that is delayed does not hold up the others;
// those beyond maxConns are lost, as datagrams may be.
func (k *KDC) serveUDP(ctx context.Context, u net.PacketConn) {
	slots := make(chan struct{}, maxConns)
	b := make([]byte, 1<<16)
	for {
		n, from, err := u.ReadFrom(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || k.wrong().DropUDP {
			continue
		}
		select {
		case slots <- struct{}{}:
		default:
			continue
		}
		request := bytes.Clone(b[:n])
		k.serving.Go(func() {
			defer func() { <-slots }()
			if reply := k.answerUDP(ctx, request); reply != nil {
				u.WriteTo(reply, from) // a client that went away asks again
			}
		})
	}
}

func (k *KDC) answerUDP(ctx context.Context, request []byte) []byte {
	if !k.pause(ctx) {
		return nil
	}
	reply := k.answer(request)
	if limit := k.wrong().UDPLimit; len(reply) > 65507 || limit > 0 && len(reply) > limit {
		return k.errorReply(krb5.ErrResponseTooBig, krb5.TGS(k.Realm), "")
	}
	return reply
}

func (k *KDC) serveTCP(ctx context.Context, l net.Listener) {
	slots := make(chan struct{}, maxConns)
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		slots <- struct{}{}
		k.serving.Go(func() {
			defer func() { <-slots }()
			defer conn.Close()
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			for k.serveOne(ctx, conn) == nil {
			}
		})
	}
}

var errHangUp = errors.New("hang up")

// serveOne answers one request with its length before it (RFC 4120 section 7.2.2).
func (k *KDC) serveOne(ctx context.Context, conn net.Conn) error {
	conn.SetDeadline(time.Now().Add(idleTimeout))
	var header [4]byte
	if _, err := io.ReadFull(conn, header[:]); err != nil {
		return err
	}
	size := binary.BigEndian.Uint32(header[:])
	if size > maxRequest {
		return errHangUp
	}
	request := make([]byte, size)
	if _, err := io.ReadFull(conn, request); err != nil {
		return err
	}
	if k.wrong().DropTCP || !k.pause(ctx) {
		return errHangUp
	}
	reply := k.answer(request)
	if reply == nil {
		return errHangUp
	}
	out := append(binary.BigEndian.AppendUint32(nil, uint32(len(reply))), reply...)
	if k.wrong().TruncateTCP {
		conn.Write(out[:len(out)/2])
		return errHangUp
	}
	_, err := conn.Write(out)
	return err
}

// pause is the fault Delay; it returns false when the KDC is closed meanwhile.
func (k *KDC) pause(ctx context.Context) bool {
	delay := k.wrong().Delay
	if delay <= 0 {
		return true
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
