package kerberos

import (
	"context"
	"encoding/base64"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/turngate/turngate/kerberos/internal/gss"
	"github.com/turngate/turngate/kerberos/internal/krb5"
	"github.com/turngate/turngate/kerberos/kerberostest"
)

// A recording is one handshake with the KDC of kerberostest: real bytes to start fuzzing from.
type recording struct {
	client  *Client
	replies [][]byte // of the KDC, in order
	final   string   // of the acceptor
	refused string
}

func record(f *testing.F) recording {
	f.Helper()
	kdc := &kerberostest.KDC{Realm: "EXAMPLE.TEST", Etypes: []int32{18}}
	must(f, kdc.AddUser("alice", "pw"), kdc.AddService("HTTP/localhost"), kdc.Start())
	f.Cleanup(func() { kdc.Close() })
	var r recording
	client, err := New(Config{
		User: "alice", Password: "pw", Krb5Conf: strings.Replace(kdc.Config(), "  kdc = ", "  kdc = udp/", 1),
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
			return &tappedConn{conn, &r.replies}, err
		},
	})
	must(f, err)
	r.client = client
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	e, err := client.Begin(ctx, "localhost", nil)
	must(f, err)
	token, err := e.Next(ctx, "")
	must(f, err)
	keytab, err := kdc.Keytab("HTTP/localhost")
	must(f, err)
	acceptor := &kerberostest.Acceptor{Keytab: keytab}
	h := acceptor.New(nil)
	_, _, err = h.Accept(token)
	must(f, err)
	r.final = h.Final()
	r.refused, _, err = acceptor.New(nil).Accept(token)
	if err == nil {
		f.Fatal("a replay was accepted")
	}
	return r
}

type tappedConn struct {
	net.Conn
	reads *[][]byte
}

func (c *tappedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	*c.reads = append(*c.reads, append([]byte(nil), b[:n]...))
	return n, err
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A bytesConn is a KDC that answers everything with the same bytes.
type bytesConn struct {
	net.Conn
	reply []byte
}

func (c bytesConn) Write(b []byte) (int, error) { return len(b), nil }
func (c bytesConn) Read(b []byte) (int, error)  { return copy(b, c.reply), nil }
func (c bytesConn) Close() error                { return nil }

// FuzzKDCReply gives hostile replies to a login, with a password and with a keytab, and to a request
// for a service ticket.
func FuzzKDCReply(f *testing.F) {
	r := record(f)
	if len(r.replies) != 3 {
		f.Fatalf("recorded %d replies, want 3", len(r.replies))
	}
	for _, reply := range r.replies {
		f.Add(reply)
	}
	f.Add([]byte{})
	key, err := krb5.NewKey(krb5.AES256SHA1)
	must(f, err)
	keytab, err := krb5.Keytab{{Name: krb5.ParseName(1, "alice"), Realm: "EXAMPLE.TEST", KVNO: 1, Key: key}}.Marshal()
	must(f, err)
	f.Fuzz(func(t *testing.T, reply []byte) {
		conf := "[realms]\nEXAMPLE.TEST = {\nkdc = udp/kdc.test\n}\n"
		dial := func(context.Context, string, string) (net.Conn, error) { return bytesConn{reply: reply}, nil }
		client, err := New(Config{User: "alice", Realm: "EXAMPLE.TEST", KeytabBytes: keytab, Krb5Conf: conf, Dial: dial})
		must(t, err)
		if _, err := client.Begin(context.Background(), "localhost", nil); err == nil {
			t.Error("a ticket from a KDC that does not have our key")
		}
		tgt := &ticket{client: krb5.ParseName(1, "alice"), clientRealm: "EXAMPLE.TEST", server: krb5.TGS("EXAMPLE.TEST"), realm: "EXAMPLE.TEST", raw: []byte{0x61, 0}, key: key}
		if _, err := client.askTGS(context.Background(), tgt, krb5.ParseName(2, "HTTP/localhost")); err == nil {
			t.Error("a service ticket from a KDC that does not have the session key")
		}
	})
}

// FuzzReplyParts gets past the encryption: what a KDC says inside is hostile, too.
func FuzzReplyParts(f *testing.F) {
	part := krb5.EncKDCRep{Server: krb5.TGS("R"), Realm: "R", EndTime: krb5.Time(time.Unix(1e9, 0)), AuthTime: krb5.Time(time.Unix(1e9, 0)), Flags: krb5.NewFlags(), LastReqs: []krb5.LastReq{}}
	plain, err := part.Marshal(krb5.TypeTGSRep)
	must(f, err)
	f.Add(plain, []byte("\x30\x0d\x30\x0b\xa0\x03\x02\x01\x12\xa1\x04\x1b\x02\x61\x62"))
	f.Fuzz(func(t *testing.T, plain, info []byte) {
		rep := &krb5.KDCRep{Type: krb5.TypeTGSRep, CName: krb5.ParseName(1, "a")}
		if tk, err := openRep(rep, plain, &krb5.KDCReqBody{Realm: "R"}, rep.CName, endpoint{}, time.Unix(0, 0)); err == nil && isTGS(tk.server) && tk.realm == "" && tk.server.Parts[1] != "" {
			t.Errorf("ticket for %v leads to no realm", tk.server)
		}
		c := &Client{conf: newKrb5Conf()}
		l := &login{krb5.ParseName(1, "a"), "R", keytabSecret{}}
		if _, err := c.longTermKey(l, krb5.Etypes(), []krb5.PAData{{Type: krb5.PAEtypeInfo2, Value: info}}); err == nil {
			t.Error("a key from an empty keytab")
		}
	})
}

// FuzzChallenge gives hostile tokens of a proxy to an exchange under way.
func FuzzChallenge(f *testing.F) {
	r := record(f)
	for _, token := range []string{r.final, r.refused, base64.StdEncoding.EncodeToString([]byte("NTLMSSP\x00")), "", "%"} {
		f.Add(token)
	}
	bare, err := gss.Wrap(gss.APRep, []byte{0x6f, 0})
	must(f, err)
	f.Add(base64.StdEncoding.EncodeToString(bare))
	f.Fuzz(func(t *testing.T, challenge string) {
		ctx := context.Background()
		e, err := r.client.Begin(ctx, "localhost", nil)
		must(t, err)
		_, err = e.Next(ctx, "")
		must(t, err)
		if _, err := e.Next(ctx, challenge); err == nil {
			t.Errorf("%q: goes on without the proxy's proof", challenge)
		}
		if err := e.Finish(challenge); err == nil && e.proven {
			t.Errorf("%q proves the proxy without the key", challenge)
		}
	})
}

func FuzzKrb5Conf(f *testing.F) {
	f.Add(strings.Replace(sampleConf, "includedir DIR/conf.d\n", "", 1))
	f.Add("[realms]\nA = {\n}\n")
	f.Add("[libdefaults]\n permitted_enctypes = DEFAULT -aes +rc4\n")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "include") {
			return // would read files
		}
		c := newKrb5Conf()
		if err := c.parse([]byte(text), "fuzz", 0); err != nil {
			return
		}
		c.realmOf("a.b.example")
		for realm, kdcs := range c.kdcs {
			listedKDCs(realm, kdcs)
		}
		if len(c.asEtypes()) == 0 || len(c.tgEtypes()) == 0 {
			t.Error("no encryption type is left")
		}
	})
}
