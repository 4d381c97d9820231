package proxyconnect

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

const (
	basicAlice = "Basic YWxpY2U6cHctQWxpY2Ux" // alice:pw-Alice1
	answer200  = tunnelEcho
)

func basic407(extra, body string) string {
	return "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"r\"\r\n" + extra + "\r\n" + body
}

func offer(schemes ...string) string {
	s := "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n"
	for _, scheme := range schemes {
		s += "Proxy-Authenticate: " + scheme + "\r\n"
	}
	return s + "\r\n"
}

// legs is a mechanism that says its lines, whatever it hears; a line may be an error.
func legs(scheme, name string, lines ...any) Mechanism {
	return Mechanism{Scheme: scheme, Name: name, Begin: func(context.Context, Request) (Exchange, error) {
		return &sayer{lines: lines}, nil
	}}
}

// refusedToken is what a mechanism says of a ticket that the proxy does not take.
type refusedToken struct{}

func (refusedToken) Error() string      { return "unreadable ticket" }
func (refusedToken) TokenRefused() bool { return true }

type sayer struct{ lines []any }

func (s *sayer) Next(context.Context, string) (string, error) {
	if len(s.lines) == 0 {
		return "", rejection("nothing left to say")
	}
	line := s.lines[0]
	s.lines = s.lines[1:]
	if err, ok := line.(error); ok {
		return "", err
	}
	return line.(string), nil
}

var alice = Basic("alice", "pw-Alice1")

func TestDial(t *testing.T) {
	ntlm := legs("NTLM", "", "one", "three")
	noTicket := legs("Negotiate", "", absence("no ticket"))
	tests := []struct {
		name       string
		script     script
		mechanisms []Mechanism
		heard      []string
		err        error  // nil: a tunnel
		says       string // part of the error's text
	}{
		{name: "no authentication", script: script{{answer200}}, heard: []string{"0 -"}},
		{name: "Basic on the kept connection", script: script{{keepBasic, answer200}},
			heard: []string{"0 -", "0 " + basicAlice}},
		{name: "407 with a chunked body", heard: []string{"0 -", "0 " + basicAlice},
			script: script{{basic407("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\nTrailer: x\r\n\r\n"), answer200}}},
		{name: "407 whose body ends with the connection", heard: []string{"0 -", "1 " + basicAlice},
			script: script{{basic407("", "denied")}, {answer200}}},
		{name: "407 with Connection: close", heard: []string{"0 -", "1 " + basicAlice},
			script: script{{basic407("Content-Length: 6\r\nConnection: close\r\n", "denied")}, {answer200}}},
		{name: "407 of HTTP/1.0", heard: []string{"0 -", "1 " + basicAlice},
			script: script{{strings.Replace(keepBasic, "1.1", "1.0", 1)}, {answer200}}},
		{name: "407 of HTTP/1.0 with keep-alive", heard: []string{"0 -", "0 " + basicAlice},
			script: script{{strings.Replace(basic407("Content-Length: 0\r\nProxy-Connection: Keep-Alive\r\n", ""), "1.1", "1.0", 1), answer200}}},
		{name: "407 with a body too long to read", heard: []string{"0 -", "1 " + basicAlice},
			script: script{{basic407("Content-Length: 99999999999\r\n", "")}, {answer200}}},
		{name: "401 as a challenge", heard: []string{"0 -", "0 " + basicAlice},
			script: script{{"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=r\r\nContent-Length: 0\r\n\r\n", answer200}}},
		{name: "interim responses first", script: script{{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + answer200}}, heard: []string{"0 -"}},
		{name: "204", script: script{{strings.Replace(answer200, "200", "204", 1)}}, heard: []string{"0 -"}},
		{name: "HTTP/1.0 200 without a reason", script: script{{"HTTP/1.0 200\r\n\r\n\x00echo"}}, heard: []string{"0 -"}},
		{name: "200 with a length and a coding", heard: []string{"0 -"},
			script: script{{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n\x00echo"}}},
		{name: "lines that are no fields", heard: []string{"0 -", "0 " + basicAlice},
			script: script{{basic407("rubbish\r\nX: a\r\n  folded\r\nContent-Length: 0\r\n", ""), answer200}}},
		{name: "any case, all in one field", heard: []string{"0 -", "0 " + basicAlice}, script: script{{offer(`negotiate, nTLM,bAsIc realm="a, b"`), answer200}}},

		{name: "two legs", mechanisms: []Mechanism{ntlm}, heard: []string{"0 -", "0 NTLM one", "0 NTLM three"},
			script: script{{offer("NTLM"), offer("NTLM two"), answer200}}},
		{name: "2xx after the first leg", mechanisms: []Mechanism{ntlm}, heard: []string{"0 -", "0 NTLM one"},
			script: script{{offer("NTLM"), answer200}}},
		{name: "the caller's order decides", mechanisms: []Mechanism{ntlm, alice}, heard: []string{"0 -", "0 NTLM one"},
			script: script{{offer("Basic realm=r", "NTLM"), answer200}}},
		{name: "no ticket: the next scheme on a fresh connection", mechanisms: []Mechanism{noTicket, ntlm},
			script: script{{offer("Negotiate", "NTLM"), "not reached"}, {offer("NTLM two"), answer200}},
			heard:  []string{"0 -", "1 NTLM one", "1 NTLM three"}},
		{name: "ticket refused: the next scheme, nothing counted", mechanisms: []Mechanism{legs("Negotiate", "", "ticket", refusedToken{}), ntlm},
			script: script{{offer("Negotiate", "NTLM"), offer("Negotiate", "NTLM")}, {offer("NTLM two"), answer200}},
			heard:  []string{"0 -", "0 Negotiate ticket", "1 NTLM one", "1 NTLM three"}},
		{name: "ticket refused and nothing else", mechanisms: []Mechanism{legs("Negotiate", "", "ticket", refusedToken{})}, err: ErrRejected, says: "unreadable",
			script: script{{offer("Negotiate"), offer("Negotiate")}}},
		{name: "a mechanism without Begin", mechanisms: []Mechanism{{Scheme: "Basic"}}, err: errAny, says: "no Begin", script: script{}},
		{name: "nothing to prove ourselves with", mechanisms: []Mechanism{noTicket}, err: ErrNoCredential, says: "tried Negotiate (no ticket)",
			script: script{{offer("Negotiate"), ""}}, heard: []string{"0 -"}},
		{name: "no common scheme", mechanisms: []Mechanism{ntlm}, err: ErrNoCommonScheme, says: "offers Negotiate, Basic",
			script: script{{offer("Negotiate", "Basic realm=r"), ""}}, heard: []string{"0 -"}},

		{name: "wrong password", script: script{{keepBasic, keepBasic}}, err: ErrRejected, heard: []string{"0 -", "0 " + basicAlice}},
		{name: "wrong password, answered 401 without a challenge", err: ErrRejected, heard: []string{"0 -", "0 " + basicAlice},
			script: script{{keepBasic, "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n"}}},
		{name: "a rejected password ends its other mechanisms", mechanisms: []Mechanism{Digest("alice", "pw"), alice},
			err: ErrRejected, says: "Basic (an earlier rejection",
			script: script{{offer(`Digest realm="r", nonce="n"`, "Basic realm=r"), offer(`Digest realm="r", nonce="m"`)}}},
		{name: "connection not kept between legs", mechanisms: []Mechanism{ntlm}, err: ErrConnectionNotKept, heard: []string{"0 -", "0 NTLM one"},
			script: script{{offer("NTLM"), strings.Replace(offer("NTLM dHdv"), "Content", "Connection: close\r\nContent", 1)}}},
		{name: "closed without an answer", mechanisms: []Mechanism{ntlm}, err: io.ErrUnexpectedEOF, says: "instead of answering",
			script: script{{offer("NTLM"), offer("NTLM dHdv")}}},
		{name: "403", script: script{{"HTTP/1.1 403 Forbidden\r\nX-Squid-Error: ERR_ACCESS_DENIED 0\r\nContent-Length: 0\r\n\r\n"}},
			err: ErrRefused, says: "CONNECT: the proxy refused the tunnel with status 403 Forbidden", heard: []string{"0 -"}},
		{name: "403 after authentication", script: script{{keepBasic, "HTTP/1.1 403 Forbidden\r\n\r\n"}}, err: ErrRefused, says: "403"},
		{name: "challenges without end", mechanisms: []Mechanism{legs("NTLM", "", "1", "2", "3", "4", "5", "6", "7", "8")},
			script: script{{offer("NTLM"), offer("NTLM a"), offer("NTLM a"), offer("NTLM a"), offer("NTLM a"), offer("NTLM a"), offer("NTLM a")}},
			err:    ErrTooManyLegs},
		{name: "not HTTP", script: script{{"SSH-2.0-OpenSSH\r\n"}}, err: errAny, says: `begins "SSH-2.0-OpenSSH"`},
		{name: "a TLS alert", script: script{{"\x15\x03\x01\x00\x02\x02\x46\r\n"}}, err: errAny, says: "https://"},
		{name: "a head without end", script: script{{"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", maxHead)}}, err: errAny, says: "longer than"},
		{name: "interim responses without end", script: script{{strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 20)}}, err: errAny, says: "without end"},
		{name: "a line end in the credentials", mechanisms: []Mechanism{legs("NTLM", "", "a\r\nX: y")}, script: script{{offer("NTLM")}}, err: errAny, says: "header field"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := tt.script.play(t)
			d := Dialer{Proxy: p.url, Mechanisms: tt.mechanisms, AllowBasicOverHTTP: true}
			if d.Mechanisms == nil {
				d.Mechanisms = []Mechanism{alice}
			}
			conn, err := d.DialContext(t.Context(), "tcp", "turn.example:443")
			if conn != nil {
				defer conn.Close()
			}
			checkDial(t, conn, err, tt.err, tt.says)
			if got := p.heard(); tt.heard != nil && !reflect.DeepEqual(got, tt.heard) {
				t.Errorf("the proxy heard\n got %q\nwant %q", got, tt.heard)
			}
		})
	}
}

var errAny = errors.New("any error")

func checkDial(t *testing.T, conn net.Conn, err, want error, says string) {
	t.Helper()
	if want == nil {
		if err != nil {
			t.Fatal(err)
		}
		checkEcho(t, conn)
		return
	}
	var ce *ConnectError
	if !errors.As(err, &ce) {
		t.Fatalf("got error %v, want a *ConnectError", err)
	}
	if want != errAny && !errors.Is(err, want) || !strings.Contains(err.Error(), says) {
		t.Errorf("got error %q\nwant one that wraps %q and says %q", err, want, says)
	}
	for _, secret := range []string{"pw-Alice1", "YWxpY2U6cHctQWxpY2Ux", "three"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error %q has the secret %q", err, secret)
		}
	}
}

func TestBudget(t *testing.T) {
	bob := Basic("bob", "pw")
	other := legs("NTLM", "")
	other.Credential, other.Begin = "password of carol", legs("NTLM", "", "one").Begin

	t.Run("shared by dials", func(t *testing.T) {
		p := script{{keepBasic, keepBasic}, {keepBasic, "not reached"}}.play(t)
		d := Dialer{Proxy: p.url, Mechanisms: []Mechanism{bob}, AllowBasicOverHTTP: true, Budget: new(Budget)}
		_, err := d.Dial("tcp", "a:1")
		checkDial(t, nil, err, ErrRejected, "")
		_, err = d.Dial("tcp", "a:1")
		checkDial(t, nil, err, ErrBudgetSpent, "")
		if got, want := len(p.heard()), 3; got != want {
			t.Errorf("%d requests, want %d: %q", got, want, p.heard())
		}
		if d.Budget.Spent() != 1 {
			t.Errorf("budget has seen %d rejections, want 1", d.Budget.Spent())
		}
	})
	t.Run("two rejections allow another credential, not the same", func(t *testing.T) {
		twin := bob
		twin.Name = "Basic again"
		p := script{{offer("Basic realm=r", "NTLM"), keepBasic}, {answer200}}.play(t)
		d := Dialer{Proxy: p.url, Mechanisms: []Mechanism{bob, twin, other}, AllowBasicOverHTTP: true, Budget: &Budget{Rejections: 2}}
		conn, err := d.Dial("tcp", "a:1")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if info := conn.(*Conn).Info(); info.Mechanism != "NTLM" || info.Legs != 3 || info.Dials != 2 {
			t.Errorf("got %+v, want NTLM after 3 legs on 2 connections", info)
		}
	})
	t.Run("retry", func(t *testing.T) {
		p := script{{keepBasic, keepBasic}, {keepBasic}}.play(t)
		d := Dialer{Proxy: p.url, Mechanisms: []Mechanism{bob, bob}, AllowBasicOverHTTP: true, Budget: &Budget{Rejections: 9, Retry: true}}
		_, err := d.Dial("tcp", "a:1")
		checkDial(t, nil, err, ErrRejected, "")
		if got := len(p.heard()); got != 3 {
			t.Errorf("%d requests, want 3", got)
		}
	})
}

func TestBasicInTheClear(t *testing.T) {
	p := script{{keepBasic, "not reached"}}.play(t)
	d := Dialer{Proxy: p.url, Mechanisms: []Mechanism{alice}}
	_, err := d.Dial("tcp", "a:1")
	checkDial(t, nil, err, ErrCleartext, "")
	if got := len(p.heard()); got != 1 {
		t.Errorf("%d requests, want 1", got)
	}
}

func TestBadInput(t *testing.T) {
	tests := []struct {
		proxy, target, network string
		header                 http.Header
		says                   string
	}{
		{proxy: "socks5://127.0.0.1:1", says: "http://host:port"},
		{proxy: "http://alice:pw-Alice1@127.0.0.1:1", says: "do not belong"},
		{proxy: "http://alice:pw-Alice1@[::1", says: "cannot be read"},
		{proxy: "http://", says: "want a host"},
		{proxy: "http://127.0.0.1:1/path", says: "nothing more"},
		{target: "turn.example", says: "want host:port"},
		{target: "::1:443", says: "in brackets"},
		{target: "a b:443", says: "want host:port"},
		{target: "a\r\nX:443", says: "want host:port"},
		{target: ":443", says: "want host:port"},
		{network: "udp", says: "tcp only"},
		{header: http.Header{"Proxy-Authorization": {"x"}}, says: "not the caller's"},
		{header: http.Header{"X-A": {"a\r\nb"}}, says: "does not fit"},
	}
	for _, tt := range tests {
		proxy, target, network := "127.0.0.1:1", "a:1", "tcp"
		if tt.proxy != "" {
			proxy = tt.proxy
		}
		if tt.target != "" {
			target = tt.target
		}
		if tt.network != "" {
			network = tt.network
		}
		d := Dialer{Proxy: proxy, Header: tt.header, DialProxy: func(context.Context, string, string) (net.Conn, error) {
			t.Errorf("%+v: connected in spite of it", tt)
			return nil, io.EOF
		}}
		_, err := d.Dial(network, target)
		checkDial(t, nil, err, errAny, tt.says)
	}
}

func TestRequest(t *testing.T) {
	p := script{{answer200}}.play(t)
	d := Dialer{Proxy: p.url, Header: http.Header{"User-Agent": {"x/1"}}, ALPN: []string{"stun.turn", "h 2%"}}
	conn, err := d.Dial("tcp", "[2001:db8::1]:443")
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	want := "0: CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\nProxy-Connection: Keep-Alive\r\n" +
		"ALPN: stun.turn, h%202%25\r\nUser-Agent: x/1\r\n"
	if got := p.requests[0]; got != want {
		t.Errorf("request\n got %q\nwant %q", got, want)
	}
}

func TestGluedBytes(t *testing.T) {
	p := script{{"HTTP/1.1 200 OK\r\n\r\nfirst words\x00echo"}}.play(t)
	conn, err := (&Dialer{Proxy: p.url}).Dial("tcp", "a:1")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	got := make([]byte, len("first words"))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "first words" {
		t.Fatalf("got %q, %v", got, err)
	}
	checkEcho(t, conn)
}

// A hanging peer at any stage must not hold a dial beyond its context.
func TestDeadline(t *testing.T) {
	silent := script{{}}
	tests := []struct {
		name   string
		script script
		stage  Stage
		when   func(*Trace, context.CancelCauseFunc)
		mech   Mechanism
	}{
		{"no answer to the discovery", silent, StageConnect, func(tr *Trace, cancel context.CancelCauseFunc) {
			tr.ConnectStart = func(string) { cancel(errCancelled) }
		}, alice},
		{"no answer to credentials", script{{keepBasic, ""}}, StageAuthenticate, func(tr *Trace, cancel context.CancelCauseFunc) {
			tr.ConnectStart = func(m string) {
				if m != "" {
					cancel(errCancelled)
				}
			}
		}, alice},
		{"a mechanism that waits", script{{keepBasic, ""}}, StageAuthenticate, func(tr *Trace, cancel context.CancelCauseFunc) {
			tr.CredentialsStart = func(string) { cancel(errCancelled) }
		}, Mechanism{Scheme: "Basic", Begin: func(ctx context.Context, _ Request) (Exchange, error) {
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			tr := new(Trace)
			tt.when(tr, cancel)
			d := Dialer{Proxy: tt.script.hold(t), Mechanisms: []Mechanism{tt.mech}, AllowBasicOverHTTP: true}
			_, err := d.DialContext(WithTrace(ctx, tr), "tcp", "a:1")
			checkDial(t, nil, err, errCancelled, string(tt.stage))
		})
	}
	t.Run("own timeout", func(t *testing.T) {
		d := Dialer{Proxy: silent.hold(t), Timeout: time.Millisecond}
		_, err := d.Dial("tcp", "a:1")
		checkDial(t, nil, err, context.DeadlineExceeded, "")
		var ne net.Error
		if !errors.As(err, &ne) || !ne.Timeout() {
			t.Errorf("%v is no timeout", err)
		}
	})
}

var errCancelled = errors.New("cancelled by the test")

// hold plays the script and after its last answer keeps the connection open, silent.
func (s script) hold(t *testing.T) (url string) {
	held := make(script, len(s))
	for i, answers := range s {
		held[i] = append(append([]string{}, answers...), "\x00echo")
	}
	return held.play(t).url
}

func TestTrace(t *testing.T) {
	var got []string
	add := func(s string) { got = append(got, s) }
	tr := &Trace{
		DialStart:        func(string) { add("dial") },
		DialDone:         func(net.Conn, error) { add("dialled") },
		CredentialsStart: func(m string) { add("ask " + m) },
		CredentialsDone:  func(m string, err error) { add("asked " + m) },
		ConnectStart:     func(m string) { add("sent " + m) },
		ResponseReceived: func(r Response) { add(r.Reason) },
	}
	p := script{{keepBasic, answer200}}.play(t)
	d := Dialer{Proxy: p.url, Mechanisms: []Mechanism{alice}, AllowBasicOverHTTP: true}
	conn, err := d.DialContext(WithTrace(t.Context(), tr), "tcp", "a:1")
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	want := []string{"dial", "dialled", "sent ", "Proxy Authentication Required", "ask Basic", "asked Basic", "sent Basic", "Connection established"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}
