package diagnosis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/turngate/turngate/proxyconnect"
)

func (w *walk) resolve(ctx context.Context) (string, error) {
	if net.ParseIP(w.host) != nil {
		return "", skipped("the proxy is given as an address")
	}
	addresses, err := net.DefaultResolver.LookupHost(ctx, w.host)
	if err != nil {
		return "", err
	}
	return strings.Join(addresses[:min(len(addresses), 4)], ", "), nil
}

func (w *walk) connectProxy(ctx context.Context) (string, error) {
	dial := w.Dialer.DialProxy
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	conn, err := dial(ctx, "tcp", net.JoinHostPort(w.host, w.port))
	if err != nil {
		return "", err
	}
	w.conn = conn
	return conn.RemoteAddr().String(), nil
}

// secureProxy uses up the first connection; the requests have their own.
func (w *walk) secureProxy(ctx context.Context) (string, error) {
	defer w.hangUp()
	if !w.secure {
		return "", skipped("the proxy's URL is http://")
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if w.Dialer.TLS != nil {
		config = w.Dialer.TLS.Clone()
	}
	if config.ServerName == "" {
		config.ServerName = w.host
	}
	conn := tls.Client(w.conn, config)
	err := conn.HandshakeContext(ctx)
	w.report.ProxyTLS = describeTLS(conn.ConnectionState(), config.ServerName, err)
	return w.report.ProxyTLS.summary(), err
}

func (w *walk) hangUp() {
	w.conn.Close()
	w.conn = nil
}

// ask sends CONNECT without credentials.
func (w *walk) ask(ctx context.Context) (string, error) {
	d := w.bare()
	conn, err := d.DialContext(ctx, "tcp", w.TURN.Address)
	if err == nil {
		w.conn = conn
		return "2xx without authentication", nil
	}
	var ce *proxyconnect.ConnectError
	if !errors.As(err, &ce) {
		return "", err
	}
	w.report.Answer = answerOf(ce)
	detail := w.report.Answer.summary()
	if errors.Is(err, proxyconnect.ErrNoCommonScheme) { // it asks for credentials, as it should
		return detail, nil
	}
	switch {
	case errors.Is(err, proxyconnect.ErrRefused):
		w.probe(ctx)
	case closed(err) && !w.secure:
		w.probeTLS(ctx)
	}
	return detail, err
}

// bare is the dialer without credentials.
func (w *walk) bare() *proxyconnect.Dialer {
	d := *w.Dialer
	d.Mechanisms, d.Budget, d.Timeout = nil, nil, w.timeout()
	return &d
}

// probe repeats a refused request with one change each, to see what the refusal hangs on.
func (w *walk) probe(ctx context.Context) {
	if w.TURN.port() != "443" {
		w.probeOnce(ctx, ProbePort, net.JoinHostPort(w.TURN.host(), "443"), w.bare())
	}
	w.probeName(ctx)
	if d := w.bare(); d.Header.Get("User-Agent") == "" {
		d.Header = d.Header.Clone()
		if d.Header == nil {
			d.Header = make(http.Header)
		}
		d.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")
		w.probeOnce(ctx, ProbeUserAgent, w.TURN.Address, d)
	}
	if d := w.bare(); len(d.ALPN) > 0 {
		d.ALPN = nil
		w.probeOnce(ctx, ProbeALPN, w.TURN.Address, d)
	}
}

func (w *walk) probeOnce(ctx context.Context, change, target string, d *proxyconnect.Dialer) {
	p := Probe{Change: change}
	conn, err := d.DialContext(ctx, "tcp", target)
	var ce *proxyconnect.ConnectError
	if err == nil {
		p.Status = http.StatusOK
		conn.Close()
	} else if errors.As(err, &ce) {
		p.Status = ce.Status
	}
	w.report.Probes = append(w.report.Probes, p)
}

// probeTLS looks whether a proxy that does not answer http:// speaks TLS.
func (w *walk) probeTLS(ctx context.Context) {
	d := w.bare()
	d.Proxy = "https://" + net.JoinHostPort(w.host, w.port)
	conn, err := d.DialContext(ctx, "tcp", w.TURN.Address)
	p := Probe{Change: ProbeTLS, TLS: err == nil}
	var ce *proxyconnect.ConnectError
	if err == nil {
		p.Status = http.StatusOK
		conn.Close()
	} else if errors.As(err, &ce) {
		var verify *tls.CertificateVerificationError
		p.Status = ce.Status
		p.TLS = ce.Status != 0 || errors.As(err, &verify)
	}
	w.report.Probes = append(w.report.Probes, p)
}

func (a *Answer) status() int {
	if a == nil {
		return 0
	}
	return a.Status
}

func (a *Answer) summary() string {
	if a == nil {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s", a.Status, a.Reason)
	if len(a.Offered) > 0 {
		fmt.Fprintf(&b, ", offers %s", strings.Join(a.Offered, ", "))
	}
	if a.Product != "" {
		fmt.Fprintf(&b, " (%s)", a.Evidence)
	}
	return b.String()
}
