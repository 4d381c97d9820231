package library

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/turngate/turngate/harness/lab"
	"github.com/turngate/turngate/proxyconnect"
)

// corp is the company that the examples work for: its proxies, its realm and its TURN server.
var corp *lab.Lab

func TestMain(m *testing.M) {
	status, err := run(m)
	if err == nil {
		err = goleak.Find()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = max(status, 1)
	}
	os.Exit(status)
}

func run(m *testing.M) (status int, err error) {
	if corp, err = lab.New(slog.New(slog.DiscardHandler)); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, corp.Close()) }()
	if realm, err = newRealm(); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, realm.close()) }()
	return m.Run(), nil
}

// seconds bounds an example.
func seconds(n time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), n*time.Second)
}

// proxyURL is that of the company's http proxy with a scheme, secureProxyURL of its https proxy.
func proxyURL(scheme string) string { return find(scheme, false) }

func secureProxyURL(scheme string) string { return find(scheme, true) }

func find(scheme string, secure bool) string {
	for _, p := range corp.Proxies {
		if p.Scheme == scheme && p.TLS == secure {
			return p.URL
		}
	}
	panic("the lab has no such proxy: " + scheme)
}

// show prints how a tunnel came about, or why none did, and closes it.
func show(conn net.Conn, err error) {
	if err != nil {
		fmt.Println(errors.Unwrap(err))
		return
	}
	info := conn.(*proxyconnect.Conn).Info()
	fmt.Printf("%s after %d requests\n", info.Mechanism, info.Legs)
	if err := conn.Close(); err != nil {
		fmt.Println(err)
	}
}
