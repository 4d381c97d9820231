package testproxy

import (
	"bytes"
	"crypto/sha512"
	"crypto/tls"
	"errors"
	"strings"
	"testing"
)

func TestHandshakeOfTwoLegs(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []string // one per request; "" for none
		want  []int
		count Attempts // of alice
		bad   int      // rejected of bob
	}{
		{"right", []string{"", type1, type3}, []int{407, 407, 200}, Attempts{Accepted: 1}, 0},
		{"at once", []string{type1, type3}, []int{407, 200}, Attempts{Accepted: 1}, 0},
		{"wrong", []string{type1, bad3}, []int{407, 407}, Attempts{}, 1},
		{"wrong, then right", []string{type1, bad3, type1, type3}, []int{407, 407, 407, 200}, Attempts{Accepted: 1}, 1},
		{"last leg first", []string{type3}, []int{407}, Attempts{}, 1},
		{"another scheme between", []string{type1, basicLine("alice", "x"), type3}, []int{407, 407, 407}, Attempts{}, 1},
		{"no credentials between", []string{type1, "", type3}, []int{407, 407, 407}, Attempts{}, 1},
		{"foreign scheme", []string{"Proxy-Authorization: Bearer x"}, []int{407}, Attempts{}, 0},
		{"name in lower case", []string{strings.Replace(type1, "NTLM", "ntlm", 1), type3}, []int{407, 200}, Attempts{Accepted: 1}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := start(t, refusing())
			echo := echoTarget(t)
			raw := dialRaw(t, p)
			for i, line := range c.lines {
				if line == "" {
					line = "X: y"
				}
				raw.connect(echo, line)
				raw.expect(c.want[i])
			}
			if got := p.Attempts()[Account{"NTLM", "alice"}]; got != c.count {
				t.Errorf("attempts %+v, want %+v", got, c.count)
			}
			if got := p.Rejected("NTLM", "bob"); got != c.bad {
				t.Errorf("%d rejected, want %d", got, c.bad)
			}
		})
	}
}

// The first leg on one connection and the second on another do not meet.
func TestHandshakeIsBoundToItsConnection(t *testing.T) {
	p := start(t, refusing())
	one, two := dialRaw(t, p), dialRaw(t, p)
	one.connect("a:1", type1)
	one.expect(407)
	two.connect("a:1", type3)
	wantOffers(t, two.expect(407))
}

func TestAcceptanceStaysWithTheConnection(t *testing.T) {
	p := refusing()
	p.AllowTarget = func(_ string, port int) error {
		if port == 25 {
			return errors.New("no mail")
		}
		return nil
	}
	start(t, p)
	echo := echoTarget(t)
	c := dialRaw(t, p)
	c.connect("a:25", type1)
	c.expect(407)
	c.connect("a:25", type3)
	c.expect(403)
	c.connect(echo)
	c.expect(200)
	if got := p.Attempts()[Account{"NTLM", "alice"}]; got.Accepted != 1 {
		t.Errorf("attempts %+v, want one", got)
	}
	c.nc.Close()
	if r := lastRecord(t, p, 200); r.User != "alice" || r.Scheme != "NTLM" || r.Legs != 3 {
		t.Errorf("record %+v, want alice by NTLM in 3 legs", r)
	}

	c = dialRaw(t, p) // Basic holds for one request
	c.connect("a:25", basicLine("alice", "pässword"))
	c.expect(403)
	c.connect(echo)
	c.expect(407)
}

type lastWords struct{ twoLegs }

func (*lastWords) Final() string { return "ZmluYWw=" }

type silence struct{}

func (silence) Accept(string) (challenge, user string, err error) { return "", "", nil }

func TestFinalTokenAndInfo(t *testing.T) {
	scheme := legs()
	scheme.Name, scheme.New = "Negotiate", func(ConnInfo) Handshake { return new(lastWords) }
	p := start(t, &Proxy{Schemes: []Scheme{scheme, Digest(aliceDigest("")), {Name: "X", New: func(ConnInfo) Handshake { return silence{} }}}})
	echo := echoTarget(t)
	c := dialRaw(t, p)
	c.connect(echo, strings.Replace(type1, "NTLM", "Negotiate", 1))
	c.expect(407)
	c.connect(echo, strings.Replace(type3, "NTLM", "Negotiate", 1))
	if got, want := c.expect(200).Header.Get("Proxy-Authenticate"), "Negotiate ZmluYWw="; got != want {
		t.Errorf("last token %q, want %q", got, want)
	}

	c = dialRaw(t, p)
	c.connect(echo)
	challenge := c.expect(407).Header.Values("Proxy-Authenticate")[1]
	c.connect(echo, "Proxy-Authorization: Digest "+digestCredentials(t, challenge, map[string]string{"uri": echo}))
	if got := c.expect(200).Header.Get("Proxy-Authentication-Info"); !strings.HasPrefix(got, `qop=auth, rspauth="`) {
		t.Errorf("info %q, want rspauth", got)
	}

	c = dialRaw(t, p) // a Handshake that says nothing must not pass
	c.connect(echo, "Proxy-Authorization: X y")
	c.expect(407)
}

// The certificate of testPKI has a P-384 key, hence a signature with SHA-384.
func TestChannelBinding(t *testing.T) {
	cert := testPKI(t)
	sum := sha512.Sum384(cert.cert.Raw)
	want := append([]byte("tls-server-end-point:"), sum[:]...)
	for name, cfg := range map[string]*tls.Config{
		"static":  cert.server,
		"dynamic": {GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &cert.server.Certificates[0], nil }},
		"none":    nil,
	} {
		var got []byte
		p := start(t, &Proxy{TLS: cfg, Schemes: []Scheme{{Name: "X", New: func(c ConnInfo) Handshake {
			got = c.ChannelBinding
			return silence{}
		}}}})
		c := dialRaw(t, p)
		c.connect("a:1", "Proxy-Authorization: X y")
		c.expect(407)
		if cfg == nil && got != nil || cfg != nil && !bytes.Equal(got, want) {
			t.Errorf("%s: binding %x, want %x", name, got, want)
		}
	}
}

func TestTLSVersions(t *testing.T) {
	p := start(t, &Proxy{TLS: testPKI(t).server})
	for version, want := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		nc, err := tls.Dial("tcp", p.Addr().String(), &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version})
		if (err == nil) != want {
			t.Errorf("%s: %v, want accepted %v", tls.VersionName(version), err, want)
		}
		if err == nil {
			nc.Close()
		}
	}
	if r := lastRecord(t, p, 0); !strings.HasPrefix(r.Reason, "tls:") {
		t.Errorf("record %+v, want the failed handshake", r)
	}
	if p.TLS.MinVersion != 0 {
		t.Error("the caller's configuration was changed")
	}
}
