package conformance

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/stun/v4"
	"go.uber.org/goleak"

	"github.com/turngate/turngate/turntcp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// takeApart does with a frame all that a test may do with what a server sends.
func takeApart(f frame) {
	describeFrame(f)
	if f.isChannelData() {
		_ = f.payload()
		return
	}
	m := new(stun.Message)
	if stun.Decode(f, m) != nil {
		return
	}
	_, _ = describe(m)+outcome(m)+request(m), errorCode(m)
	for _, a := range []stun.AttrType{stun.AttrXORMappedAddress, stun.AttrXORRelayedAddress, stun.AttrXORPeerAddress} {
		address(m, a)
	}
	seconds(m)
	var c client
	c.take(m)
	var unknown stun.UnknownAttributes
	_ = unknown.GetFrom(m)
	_ = stun.Fingerprint.Check(m)
	_ = stun.NewLongTermIntegrity("user", "realm", "password").Check(m)
}

func TestCatalogue(t *testing.T) {
	seen := make(map[string]bool)
	form := regexp.MustCompile(`^[a-z0-9]+\.[a-z0-9.-]+$`)
	for _, test := range Tests() {
		switch {
		case !form.MatchString(test.ID), seen[test.ID]:
			t.Errorf("id %q: malformed or not the only one", test.ID)
		case test.Level != Must && test.Level != Should, test.Section == "", test.run == nil:
			t.Errorf("%s: incomplete", test.ID)
		case test.Text == "", strings.HasSuffix(test.Text, "."), strings.Contains(test.Text, "|"):
			t.Errorf("%s: text %q", test.ID, test.Text)
		}
		seen[test.ID] = true
	}
}

func TestSelect(t *testing.T) {
	tests := []Test{{ID: "a.one"}, {ID: "a.two", Slow: true}, {ID: "b.one"}}
	for _, tt := range []struct {
		patterns []string
		slow     bool
		want     string
	}{
		{nil, false, "a.one b.one"},
		{nil, true, "a.one a.two b.one"},
		{[]string{"a.*"}, true, "a.one a.two"},
		{[]string{"*.one", "a.one"}, false, "a.one b.one"},
		{[]string{"c.*"}, true, ""},
	} {
		got, err := Select(tests, tt.patterns, tt.slow)
		var ids []string
		for _, g := range got {
			ids = append(ids, g.ID)
		}
		if strings.Join(ids, " ") != tt.want || err != nil {
			t.Errorf("%v, slow %v: got %v, %v, want %s", tt.patterns, tt.slow, ids, err, tt.want)
		}
	}
	if _, err := Select(tests, []string{"["}, false); err == nil {
		t.Error("a malformed pattern is accepted")
	}
}

// ours starts our server and returns it as a target, over TCP or TLS.
func ours(t *testing.T, secure bool) Target {
	t.Helper()
	certificate, roots := certificate(t)
	relays := []turntcp.RelayAddr{{Local: netip.MustParseAddr("127.0.0.1")}}
	if l, err := net.Listen("tcp", "[::1]:0"); err == nil {
		l.Close()
		relays = append(relays, turntcp.RelayAddr{Local: netip.IPv6Loopback()})
	}
	srv, err := turntcp.NewServer(turntcp.Config{
		Realm:       "test",
		Credentials: turntcp.StaticCredentials(map[string]string{"alice": "a", "bob": "b"}),
		RelayAddrs:  relays,
		TCPRelays:   true,
		TLS:         &tls.Config{Certificates: []tls.Certificate{certificate}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close() })
	listen := srv.ListenTCP
	target := Target{User: "alice", Password: "a", SecondUser: "bob", SecondPassword: "b"}
	if secure {
		listen = srv.ListenTLS
		target.TLS = &tls.Config{RootCAs: roots}
	}
	at, err := listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target.Address = at.String()
	return target
}

func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

// The peers are allocations on the server, which permits nothing else.
func TestOursWithoutPeerAddress(t *testing.T) {
	for name, secure := range map[string]bool{"tcp": false, "tls": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report, err := Run(t.Context(), ours(t, secure), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if report.Verdict != Conforms || report.Count(Fail) > 0 {
				var b bytes.Buffer
				_ = Text(&b, report)
				t.Error(b.String())
			}
			var skipped []string
			for _, r := range report.Results {
				if r.Outcome == Skipped && !strings.HasPrefix(r.ID, "tls.") {
					skipped = append(skipped, r.ID)
				}
			}
			want := []string{"data.icmp", "tcp.connect-fails", "tcp.connect-waits", "tcp.attempt-not-permitted"}
			if !slices.Equal(skipped, want) {
				t.Errorf("skipped: got %v, want %v", skipped, want)
			}
		})
	}
}

// badServer accepts connections and hands them over; it ends with the test.
func badServer(t *testing.T, serve func(net.Conn)) Target {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			serve(nc)
			nc.Close()
		}
	}()
	return Target{Address: l.Addr().String(), User: "alice", Password: "a"}
}

// Every wait ends, whatever the server does, and the error says how far it came.
func TestUnusable(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		serve      func(net.Conn)
	}{
		{"silent", "no answer", func(nc net.Conn) { _, _ = io.Copy(io.Discard, nc) }},
		{"closes", "the server closed the connection", func(net.Conn) {}},
		{"HTTP", "the server closed the connection", func(nc net.Conn) { _, _ = io.WriteString(nc, "HTTP/1.1 400 Bad Request\r\n\r\n") }},
		{"no TURN", "neither a STUN message nor ChannelData", func(nc net.Conn) { _, _ = nc.Write(bytes.Repeat([]byte{0xFF}, 1000)) }},
		{"half a frame", "no answer", func(nc net.Conn) {
			_, _ = nc.Write([]byte("\x40\x00\xff\xff"))
			_, _ = io.Copy(io.Discard, nc)
		}},
		{"floods", "1000 messages with data", func(nc net.Conn) {
			for err := error(nil); err == nil; {
				_, err = nc.Write([]byte("\x40\x00\x00\x04data"))
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			began := time.Now()
			_, err := Run(t.Context(), badServer(t, tt.serve), Options{Timeout: 200 * time.Millisecond})
			var unusable *UnusableError
			if !errors.As(err, &unusable) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestWrongPassword(t *testing.T) {
	target := ours(t, false)
	target.Password = "wrong, and not to be shown"
	_, err := Run(t.Context(), target, Options{})
	var unusable *UnusableError
	if !errors.As(err, &unusable) || !strings.Contains(err.Error(), "error 401") {
		t.Fatalf("got %v, want error 401", err)
	}
	if shown := err.Error() + strings.Join(unusable.Result.Trace, "\n"); strings.Contains(shown, "wrong, and") {
		t.Errorf("the password is shown: %s", shown)
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	options := Options{Slow: true, Progress: func(done, _ int, _ Result) {
		if done == 10 {
			cancel()
		}
	}}
	report, err := Run(ctx, ours(t, false), options)
	if err != nil {
		t.Fatal(err)
	}
	if !report.Interrupted || report.Verdict != NotDecided || report.Count(Skipped) < 100 || report.Count(Pass) == 0 {
		t.Errorf("got %s", report.Headline())
	}
}

// sample has every outcome.
var sample = Report{
	Format: 1, Verdict: Violates, Address: "turn.example.com:3478", Peer: "a second allocation", Seconds: 1.5,
	Started: time.Date(2026, 11, 26, 1, 2, 3, 0, time.UTC),
	Results: []Result{
		{ID: "a.pass", Level: Must, Section: "RFC 8656 1", Text: "it does", Outcome: Pass, Seconds: 0.1},
		{ID: "a.fail", Level: Must, Section: "RFC 8656 2", Text: "it does not", Outcome: Fail, Reason: "want error 400, got <success>", Trace: []string{"A > Allocate"}},
		{ID: "a.weak", Level: Should, Section: "RFC 8656 3", Text: "it might", Outcome: Fail, Reason: "it does not"},
		{ID: "a.none", Level: Should, Section: "RFC 8656 4", Text: "it may", Outcome: NotOffered, Reason: "error 442"},
		{ID: "a.skip", Level: Must, Section: "RFC 8656 5", Text: "who knows", Outcome: Skipped, Reason: "needs a peer address"},
	},
}

func TestText(t *testing.T) {
	const want = `FAIL
  a.fail  MUST, RFC 8656 2: it does not
    want error 400, got <success>
      A > Allocate
  a.weak  SHOULD, RFC 8656 3: it might
    it does not

SKIPPED
  a.skip  needs a peer address

NOT OFFERED
  a.none  error 442

turn.example.com:3478: violates: 1 pass, 2 fail (1 of them a MUST), 1 not offered, 1 skipped, in 1.5 s
`
	var b bytes.Buffer
	if err := Text(&b, sample); err != nil || b.String() != want {
		t.Errorf("got %v\n%s\nwant\n%s", err, b.String(), want)
	}
}

func TestMachines(t *testing.T) {
	var b bytes.Buffer
	if err := JSON(&b, sample); err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(b.Bytes(), &back); err != nil || len(back.Results) != 5 || back.Verdict != Violates {
		t.Errorf("JSON does not come back: %v", err)
	}
	b.Reset()
	if err := JUnit(&b, sample); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`tests="5" failures="1" errors="0" skipped="3" time="1.500" timestamp="2026-11-26T01:02:03"`,
		`<failure message="want error 400, got &lt;success&gt;">MUST RFC 8656 2: it does not&#xA;A &gt; Allocate</failure>`,
		`<skipped message="fail (SHOULD): it does not"></skipped>`,
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("JUnit: %s is missing in\n%s", want, b.String())
		}
	}
	b.Reset()
	if err := Markdown(&b, sample); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"- `a.fail` (MUST, RFC 8656 2): want error 400, got &lt;success>\n", "| a.none | SHOULD | RFC 8656 4 | it may | not offered |\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("Markdown: %s is missing in\n%s", want, b.String())
		}
	}
}
