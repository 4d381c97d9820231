package kerberostest

import (
	"context"
	"encoding/base64"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/turngate/turngate/kerberos"
	"github.com/turngate/turngate/kerberos/internal/gss"
	"github.com/turngate/turngate/kerberos/internal/krb5"
)

// newLab is a KDC that does not listen: requests are answered by a call.
func newLab(f *testing.F) *KDC {
	f.Helper()
	k := &KDC{Realm: "EXAMPLE.TEST", Etypes: []int32{18}}
	for _, err := range []error{k.AddUser("alice", "pw"), k.AddService("HTTP/localhost"), k.addTGS()} {
		if err != nil {
			f.Fatal(err)
		}
	}
	return k
}

// A callConn is a connection to such a KDC, over UDP. It keeps the requests.
type callConn struct {
	net.Conn
	kdc      *KDC
	requests *[][]byte
	reply    []byte
}

func (c *callConn) Write(b []byte) (int, error) {
	*c.requests = append(*c.requests, append([]byte(nil), b...))
	c.reply = c.kdc.answer(b)
	return len(b), nil
}

func (c *callConn) Read(b []byte) (int, error) {
	if c.reply == nil {
		return 0, errors.New("no reply")
	}
	return copy(b, c.reply), nil
}

func (c *callConn) Close() error { return nil }

// record has the real client log in and show its token.
func record(f *testing.F, k *KDC) (requests [][]byte, token string) {
	f.Helper()
	client, err := kerberos.New(kerberos.Config{
		User: "alice", Realm: k.Realm, Password: "pw", Krb5Conf: "[realms]\n" + k.Realm + " = {\nkdc = udp/kdc.test\n}\n",
		Dial: func(context.Context, string, string) (net.Conn, error) {
			return &callConn{kdc: k, requests: &requests}, nil
		},
	})
	if err != nil {
		f.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	e, err := client.Begin(ctx, "localhost", nil)
	if err != nil {
		f.Fatal(err)
	}
	if token, err = e.Next(ctx, ""); err != nil {
		f.Fatal(err)
	}
	return requests, token
}

// FuzzKDCRequest gives hostile requests to the KDC.
func FuzzKDCRequest(f *testing.F) {
	k := newLab(f)
	requests, _ := record(f, k)
	if len(requests) != 3 {
		f.Fatalf("recorded %d requests, want 3", len(requests))
	}
	for _, r := range requests {
		f.Add(r)
	}
	f.Add([]byte{0x6a, 0})
	f.Fuzz(func(t *testing.T, request []byte) {
		reply := k.answer(request)
		if reply != nil && krb5.Kind(reply) != krb5.TypeError && krb5.Kind(reply) != krb5.TypeASRep && krb5.Kind(reply) != krb5.TypeTGSRep {
			t.Errorf("reply %x is neither ticket nor error", reply)
		}
	})
}

// FuzzAccept gives hostile tokens to the acceptor.
func FuzzAccept(f *testing.F) {
	k := newLab(f)
	_, token := record(f, k)
	keytab, err := k.Keytab("HTTP/localhost")
	if err != nil {
		f.Fatal(err)
	}
	empty, err := gss.Init{}.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token)
	f.Add(base64.StdEncoding.EncodeToString(empty))
	f.Add(base64.StdEncoding.EncodeToString([]byte("NTLMSSP\x00\x01")))
	acceptor := &Acceptor{Keytab: keytab, RequireChannelBinding: true}
	if _, _, err := acceptor.New(nil).Accept(token); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, credentials string) {
		// Our token was shown before, and nobody can make another one.
		if _, user, err := acceptor.New(nil).Accept(credentials); err == nil || user != "" {
			t.Errorf("%q accepted as %q", credentials, user)
		}
	})
}

// TestReplayCacheForgets: an authenticator is remembered for its life, and not for ever.
func TestReplayCacheForgets(t *testing.T) {
	const life = 10 * time.Minute
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var c replayCache
	for _, tt := range []struct {
		after time.Duration
		token string
		want  bool
	}{
		{0, "a", true}, {0, "a", false}, {9 * time.Minute, "b", true}, {life, "a", false},
		{11 * time.Minute, "a", false}, {18 * time.Minute, "b", false}, {22 * time.Minute, "c", true},
		{22 * time.Minute, "a", true}, {3 * time.Hour, "c", true},
	} {
		if got := c.add([]byte(tt.token), now.Add(tt.after), life); got != tt.want {
			t.Errorf("%s after %v: got %v, want %v", tt.token, tt.after, got, tt.want)
		}
	}
	for i := range 1000 {
		c.add([]byte(strings.Repeat("x", i)), now.Add(time.Duration(i)*time.Hour), life)
	}
	if n := len(c.young) + len(c.old); n > 2 {
		t.Errorf("%d authenticators are remembered, want those of two lives", n)
	}
}
