package proxyconnect_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"golang.org/x/net/proxy"

	"github.com/turngate/turngate/harness/lab/testproxy"
	"github.com/turngate/turngate/proxyconnect"
)

// A proxy that verifies for real, and a target that says hello.
func startExample() (proxyURL, target string, stop func()) {
	p := &testproxy.Proxy{Schemes: []testproxy.Scheme{testproxy.Digest(testproxy.DigestConfig{
		Realm: "example", Password: func(user string) (string, bool) { return "secret", user == "alice" },
	})}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() {
		for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
			io.WriteString(conn, "hello")
			conn.Close()
		}
	}()
	if err := p.Start(); err != nil {
		panic(err)
	}
	return p.URL(), l.Addr().String(), func() { p.Close(); l.Close() }
}

func ExampleDialer_DialContext() {
	proxyURL, target, stop := startExample()
	defer stop()

	d := &proxyconnect.Dialer{
		Proxy:      proxyURL,
		Mechanisms: []proxyconnect.Mechanism{proxyconnect.Digest("alice", "secret")},
	}
	conn, err := d.DialContext(context.Background(), "tcp", target)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	text, _ := io.ReadAll(conn)
	info := conn.(*proxyconnect.Conn).Info()
	fmt.Printf("%s, by %s after %d requests\n", text, info.Mechanism, info.Legs)
	// Output: hello, by Digest after 2 requests
}

// A Dialer is what golang.org/x/net/proxy calls a Dialer; here some hosts are reached without it.
func ExampleDialer_perHost() {
	proxyURL, target, stop := startExample()
	defer stop()

	perHost := proxy.NewPerHost(&proxyconnect.Dialer{
		Proxy:      proxyURL,
		Mechanisms: []proxyconnect.Mechanism{proxyconnect.Digest("alice", "secret")},
	}, proxy.Direct)
	perHost.AddFromString("localhost")
	conn, err := perHost.Dial("tcp", target)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	text, _ := io.ReadAll(conn)
	fmt.Println(string(text))
	// Output: hello
}

func ExampleConnectError() {
	proxyURL, target, stop := startExample()
	defer stop()

	d := &proxyconnect.Dialer{Proxy: proxyURL, Mechanisms: []proxyconnect.Mechanism{proxyconnect.Digest("alice", "wrong")}}
	_, err := d.DialContext(context.Background(), "tcp", target)
	var e *proxyconnect.ConnectError
	if errors.As(err, &e) {
		fmt.Println(e.Stage, e.Status, e.Offered, errors.Is(err, proxyconnect.ErrRejected))
	}
	// Output: authentication 407 [Digest] true
}
