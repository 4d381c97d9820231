package proxyconnect

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"
)

// maxLegs bounds the requests of one mechanism, so that a proxy that challenges for ever cannot
// hold us. NTLM takes two, Kerberos one or two, a stale Digest nonce one more.
const maxLegs = 6

// staleAfter is how long the connection that brought the challenge may wait for our answer; a
// proxy may have closed it while we asked a KDC.
const staleAfter = 2 * time.Second

// dial is one run of DialContext: the connection of the moment, and what there is to report.
type dial struct {
	*Dialer
	ctx     context.Context
	network string
	trace   *Trace
	budget  *Budget
	fail    ConnectError

	proxy   proxyURL
	request string // the CONNECT request up to and without Proxy-Authorization

	conn    net.Conn
	br      *bufio.Reader
	release func() bool // ends the watch of ctx over conn
	legs    int
	dials   int
}

// errNext says that a mechanism did not succeed and another one may.
var errNext = errors.New("try the next mechanism")

func (a *dial) run(target string) (net.Conn, error) {
	if err := a.prepare(target); err != nil {
		return nil, err
	}
	if err := a.open(); err != nil {
		return nil, err
	}
	discovery, err := a.leg("", "")
	if err != nil {
		return nil, err
	}
	if conn, err := a.settled(discovery); conn != nil || err != nil {
		return conn, err
	}
	return a.authenticate(discovery)
}

// prepare checks what the caller gave, before anything is sent.
func (a *dial) prepare(target string) (err error) {
	if !slices.Contains([]string{"tcp", "tcp4", "tcp6"}, a.network) {
		return fmt.Errorf("network %q: an HTTP proxy carries tcp only", a.network)
	}
	if a.proxy, err = parseProxy(a.Proxy); err != nil {
		return err
	}
	if err := validMechanisms(a.Mechanisms); err != nil {
		return err
	}
	a.request, err = connectRequest(target, a.Header, a.ALPN)
	return err
}

// open makes a fresh connection to the proxy in place of the current one.
func (a *dial) open() (err error) {
	a.close()
	a.fail.Stage = StageDial
	a.dials++
	call(a.trace.DialStart, a.proxy.addr)
	conn, err := a.dialProxy()
	call2(a.trace.DialDone, conn, err)
	if err != nil {
		return err
	}
	a.conn = conn
	a.release = context.AfterFunc(a.ctx, func() { conn.Close() })
	if a.proxy.tls {
		if err := a.handshake(); err != nil {
			return err
		}
	}
	a.br = bufio.NewReader(a.conn)
	a.fail.Stage = StageConnect
	return nil
}

func (a *dial) dialProxy() (net.Conn, error) {
	if a.DialProxy != nil {
		return a.DialProxy(a.ctx, a.network, a.proxy.addr)
	}
	return new(net.Dialer).DialContext(a.ctx, a.network, a.proxy.addr)
}

func (a *dial) handshake() error {
	a.fail.Stage = StageTLS
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if a.TLS != nil {
		config = a.TLS.Clone()
	}
	if config.ServerName == "" {
		config.ServerName = a.proxy.host
	}
	if a.trace.TLSStart != nil {
		a.trace.TLSStart()
	}
	conn := tls.Client(a.conn, config)
	err := conn.HandshakeContext(a.ctx)
	call2(a.trace.TLSDone, conn.ConnectionState(), err)
	if err == nil {
		a.conn = conn
	}
	return err
}

// close ends the current connection, if any.
func (a *dial) close() {
	if a.conn != nil {
		a.release()
		a.conn.Close()
		a.conn = nil
	}
}

// leg sends one CONNECT and reads the answer; credentials is the whole value of
// Proxy-Authorization, or "".
func (a *dial) leg(mechanism, credentials string) (*response, error) {
	if !validCredentials(credentials) {
		return nil, errors.New("the credentials do not fit into a header field")
	}
	request := a.request
	if credentials != "" {
		request += "Proxy-Authorization: " + credentials + "\r\n"
	}
	a.legs++
	call(a.trace.ConnectStart, mechanism)
	if _, err := io.WriteString(a.conn, request+"\r\n"); err != nil {
		return nil, err
	}
	r, err := readResponse(a.br)
	if err != nil {
		return nil, noAnswer(err)
	}
	a.note(r)
	if r.status >= 300 {
		r.drain(a.br)
	}
	call(a.trace.ResponseReceived, r.trace())
	return r, nil
}

func noAnswer(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("the proxy closed the connection instead of answering: %w", io.ErrUnexpectedEOF)
	}
	return err
}

// note keeps the answer for the report.
func (a *dial) note(r *response) {
	a.fail.Status, a.fail.Reason = r.status, r.reason
	a.fail.Header = r.header.Clone()
	for _, secret := range []string{"Proxy-Authenticate", "Www-Authenticate", "Proxy-Authentication-Info", "Set-Cookie"} {
		delete(a.fail.Header, secret)
	}
	if r.isChallenge() {
		// A 407 in the middle of a handshake names only its own scheme: keep the longest list.
		if offered := schemes(r.challenges()); len(offered) > len(a.fail.Offered) {
			a.fail.Offered = offered
		}
	}
}

// settled returns the tunnel of a 2xx, the error of a refusal, or neither for a challenge.
func (a *dial) settled(r *response) (net.Conn, error) {
	switch {
	case r.status/100 == 2:
		return a.tunnel("")
	case r.isChallenge():
		return nil, nil
	}
	a.fail.Stage = StageConnect
	return nil, fmt.Errorf("%w with status %d %s", ErrRefused, r.status, r.reason)
}

func (a *dial) tunnel(mechanism string) (net.Conn, error) {
	if !a.release() {
		return nil, context.Cause(a.ctx)
	}
	return &Conn{
		Conn:  a.conn,
		early: a.br,
		info: Info{Proxy: a.proxy.text, Target: a.fail.Target, Mechanism: mechanism,
			Legs: a.legs, Dials: a.dials},
	}, nil
}
