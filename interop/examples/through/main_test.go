package main

import (
	"bytes"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/turngate/turngate/harness/lab"
	"github.com/turngate/turngate/proxyconnect"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRun(t *testing.T) {
	l, err := lab.New(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, p := range l.Proxies {
		if p.TLS || p.Scheme != lab.SchemeNTLM && p.Scheme != lab.SchemeDigest {
			continue
		}
		t.Run(p.Scheme, func(t *testing.T) {
			testMapped(t, l, p)
			testRejected(t, l, p)
		})
	}
}

func testMapped(t *testing.T, l *lab.Lab, p lab.Proxy) {
	var out bytes.Buffer
	if err := run(t.Context(), p.URL, l.User.Name, l.User.Password, l.TURN.TCP, &out); err != nil {
		t.Fatal(err)
	}
	text, ok := strings.CutPrefix(strings.TrimSpace(out.String()), l.TURN.TCP+" sees us as ")
	mapped, err := netip.ParseAddrPort(text)
	if !ok || err != nil || mapped.Addr() != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("printed %q, want an address of 127.0.0.1", out.String())
	}
}

func testRejected(t *testing.T, l *lab.Lab, p lab.Proxy) {
	err := run(t.Context(), p.URL, l.User.Name, "wrong", l.TURN.TCP, new(bytes.Buffer))
	if !errors.Is(err, proxyconnect.ErrRejected) {
		t.Errorf("got %v for a wrong password, want %v", err, proxyconnect.ErrRejected)
	}
	if n, err := p.Failures(); n != 1 || err != nil {
		t.Errorf("%d rejections (%v), want 1", n, err)
	}
}
