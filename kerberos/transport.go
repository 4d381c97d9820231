package kerberos

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/turngate/turngate/kerberos/internal/krb5"
)

const (
	maxReply = 1 << 20 // bytes of a KDC's reply over TCP; tickets with many groups have some 64 KB
	maxUDP   = 1 << 16
	maxKDCs  = 16
	tcp, udp = "tcp", "udp"
	kdcPort  = "88"
)

// An endpoint is one way to one KDC.
type endpoint struct{ network, addr string }

func (e endpoint) String() string { return e.addr + "/" + e.network }

// ask sends a request to the KDCs of a realm, one after the other, until one of them answers.
//
// The KDC that answered last is asked first: after the first leg of a login the second goes to the
// same KDC, and a dead KDC is waited for once.
func (c *Client) ask(ctx context.Context, realm string, request []byte) (reply []byte, kdc endpoint, err error) {
	kdcs, err := c.kdcs(ctx, realm)
	if err != nil {
		return nil, kdc, unreachableError{err}
	}
	var failures attempts
	for _, ways := range c.order(realm, kdcs, len(request)) {
		reply, kdc, err := c.askOne(ctx, ways, request)
		if err == nil {
			c.remember(realm, kdc)
			return reply, kdc, nil
		}
		if ctx.Err() != nil {
			return nil, kdc, fmt.Errorf("no KDC of %s answers: %w", realm, err)
		}
		failures = append(failures, err)
	}
	return nil, kdc, unreachableError{fmt.Errorf("no KDC of %s answers: %w", realm, failures)}
}

// askOne asks one KDC, over one transport and then the other. The second has what the first leaves
// of the time: nothing when the KDC took the request over TCP and does not answer.
func (c *Client) askOne(ctx context.Context, ways []endpoint, request []byte) ([]byte, endpoint, error) {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	var failures attempts
	for i := 0; i < len(ways); i++ {
		way := ways[i]
		wait := c.config.Timeout
		if i+1 < len(ways) {
			wait /= 2
		}
		reply, err := c.exchange(ctx, way, wait, request)
		if err == nil && way.network == udp && errorCode(reply) == krb5.ErrResponseTooBig {
			ways, i = []endpoint{{tcp, way.addr}}, -1
			continue
		}
		if err == nil && errorCode(reply) == krb5.ErrUnavailable {
			err = errors.New("it says that it is not available")
		}
		if err == nil {
			return reply, way, nil
		}
		failures = append(failures, fmt.Errorf("%s: %w", way, err))
		if ctx.Err() != nil {
			break
		}
	}
	return nil, ways[0], failures
}

func errorCode(reply []byte) int32 {
	if krb5.Kind(reply) != krb5.TypeError {
		return 0
	}
	m, err := krb5.ParseError(reply)
	if err != nil {
		return 0
	}
	return m.Code
}

// exchange sends a request over one connection and reads the reply. wait bounds connecting over TCP
// and the whole of it over UDP, where silence may mean that the datagram is lost; once connected over
// TCP, ctx alone bounds it.
func (c *Client) exchange(ctx context.Context, way endpoint, wait time.Duration, request []byte) (reply []byte, err error) {
	short, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	conn, err := c.config.Dial(short, way.network, way.addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if way.network == udp {
		ctx = short
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if way.network == udp {
		reply, err = exchangeUDP(conn, request)
	} else {
		reply, err = exchangeTCP(conn, request)
	}
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("no answer in time: %w", context.Cause(ctx))
	}
	return reply, err
}

func exchangeUDP(conn net.Conn, request []byte) ([]byte, error) {
	if _, err := conn.Write(request); err != nil {
		return nil, err
	}
	b := make([]byte, maxUDP)
	n, err := conn.Read(b)
	return b[:n], err
}

// exchangeTCP frames messages with their length in four bytes (RFC 4120 section 7.2.2).
func exchangeTCP(conn net.Conn, request []byte) ([]byte, error) {
	framed := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(request)), uint32(len(request)))
	if _, err := conn.Write(append(framed, request...)); err != nil {
		return nil, err
	}
	var header [4]byte
	if _, err := io.ReadFull(conn, header[:]); err != nil {
		return nil, fmt.Errorf("reading the length of the reply: %w", err)
	}
	size := binary.BigEndian.Uint32(header[:])
	if size > maxReply {
		return nil, fmt.Errorf("announces a reply of %d bytes, at most %d are read", size, maxReply)
	}
	b := make([]byte, size)
	if n, err := io.ReadFull(conn, b); err != nil {
		return nil, fmt.Errorf("reply ends after %d of %d bytes: %w", n, size, err)
	}
	return b, nil
}

// kdcs lists the KDCs of a realm: those of krb5.conf in their order, else those of DNS.
func (c *Client) kdcs(ctx context.Context, realm string) ([]endpoint, error) {
	if listed := c.conf.kdcs[realm]; len(listed) > 0 {
		return listedKDCs(realm, listed)
	}
	if !c.conf.lookupKDC {
		return nil, fmt.Errorf("krb5.conf lists no kdc for realm %s and forbids to look in DNS (dns_lookup_kdc)", realm)
	}
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	var found []endpoint
	var failures attempts
	for _, network := range []string{udp, tcp} {
		_, records, err := c.config.LookupSRV(ctx, "kerberos", network, realm)
		if err != nil {
			failures = append(failures, err)
		}
		for _, r := range records {
			addr := net.JoinHostPort(strings.TrimSuffix(r.Target, "."), strconv.Itoa(int(r.Port)))
			if r.Target != "." && len(found) < maxKDCs { // "." means: not here (RFC 2782)
				found = append(found, endpoint{network, addr})
			}
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no KDC is known for realm %s: krb5.conf lists none, and DNS has none: %w", realm, failures)
	}
	return found, nil
}

// listedKDCs reads "host", "host:port", "[::1]:88", "tcp/host" and "udp/host" (krb5.conf). Without a
// transport both are meant, and network is "".
func listedKDCs(realm string, listed []string) (kdcs []endpoint, err error) {
	for _, entry := range listed[:min(len(listed), maxKDCs)] {
		network, addr := "", entry
		if kind, rest, ok := strings.Cut(entry, "/"); ok {
			network, addr = kind, rest
		}
		if network != "" && network != tcp && network != udp {
			err = fmt.Errorf("kdc %q of realm %s: only TCP and UDP are spoken", entry, realm)
			continue
		}
		if host, port, splitErr := net.SplitHostPort(addr); splitErr != nil || port == "" {
			addr = net.JoinHostPort(strings.Trim(cmp.Or(host, addr), "[]"), kdcPort)
		}
		kdcs = append(kdcs, endpoint{network, addr})
	}
	if len(kdcs) > 0 {
		err = nil
	}
	return kdcs, err
}

// order groups the ways by KDC: TCP first when the request is longer than udp_preference_limit, and
// the way that answered last before all others.
func (c *Client) order(realm string, kdcs []endpoint, size int) [][]endpoint {
	first, second := udp, tcp
	if size > c.conf.udpLimit {
		first, second = tcp, udp
	}
	c.mu.Lock()
	last := c.sticky[realm]
	c.mu.Unlock()
	var groups [][]endpoint
	seen := map[string]bool{}
	for _, kdc := range kdcs {
		if seen[kdc.addr] {
			continue
		}
		seen[kdc.addr] = true
		var ways []endpoint
		for _, network := range []string{first, second} {
			if offers(kdcs, endpoint{network, kdc.addr}) {
				ways = append(ways, endpoint{network, kdc.addr})
			}
		}
		if last.addr == kdc.addr {
			if last.network == second && len(ways) == 2 && second == tcp {
				ways[0], ways[1] = ways[1], ways[0] // UDP did not work here
			}
			groups = append([][]endpoint{ways}, groups...)
			continue
		}
		groups = append(groups, ways)
	}
	return groups
}

func offers(kdcs []endpoint, way endpoint) bool {
	for _, kdc := range kdcs {
		if kdc.addr == way.addr && (kdc.network == "" || kdc.network == way.network) {
			return true
		}
	}
	return false
}

func (c *Client) remember(realm string, kdc endpoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sticky[realm] = kdc
}
