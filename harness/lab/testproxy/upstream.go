package testproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"
)

// dial connects to a target. The connection is tracked: untrack closes it.
func (p *Proxy) dial(host string, port int) (net.Conn, error) {
	address, err := p.resolve(host)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(p.ctx, orDefault(p.DialTimeout, 10*time.Second))
	defer cancel()
	dial := p.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	target, err := dial(ctx, "tcp", net.JoinHostPort(address, strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", host, err)
	}
	if !p.track(target) {
		target.Close()
		return nil, net.ErrClosed
	}
	return target, nil
}

func (p *Proxy) resolve(host string) (string, error) {
	if p.Hosts == nil || net.ParseIP(host) != nil {
		return host, nil
	}
	if address, ok := p.Hosts[host]; ok {
		return address, nil
	}
	return "", &net.DNSError{Err: "not among the hosts of the proxy", Name: host, IsNotFound: true}
}

// dialFailed answers where the target cannot be reached, and closes, as Squid and Apache do.
func (c *conn) dialFailed(err error) *response {
	status, squid := dialStatus(err), "ERR_CONNECT_FAIL"
	var dns *net.DNSError
	if c.p.LikeSquid {
		// Squid 5.7 tells failures apart by X-Squid-Error only.
		status = http.StatusServiceUnavailable
		if errors.As(err, &dns) {
			status, squid = http.StatusInternalServerError, "ERR_CANNOT_FORWARD"
		}
	}
	r := c.page(status, squid, err.Error())
	if c.p.LikeSquid {
		r.set("X-Squid-Error", fmt.Sprintf("%s %d", squid, errno(err)))
	}
	r.close = true
	return r
}

// dialStatus is 503 where the target does not listen, 504 where it keeps silent, 502 otherwise, for
// unknown names too.
func dialStatus(err error) int {
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return http.StatusBadGateway
	case errno(err) == syscall.ETIMEDOUT:
		return http.StatusGatewayTimeout
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return http.StatusServiceUnavailable
	}
	return http.StatusBadGateway
}

// errno is the system's number of an error, 0 if it has none. A time-out of ours counts as the
// system's.
func errno(err error) syscall.Errno {
	var number syscall.Errno
	var dns *net.DNSError
	switch {
	case errors.As(err, &number), errors.As(err, &dns):
		return number
	case isTimeout(err), errors.Is(err, context.DeadlineExceeded):
		return syscall.ETIMEDOUT
	}
	return 0
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
