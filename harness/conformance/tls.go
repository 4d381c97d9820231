package conformance

import (
	"crypto/tls"

	"github.com/pion/stun/v4"
)

var tlsTests = []Test{
	{"tls.version-1.2", Must, "RFC 9325 3.1.1", "TLS 1.2 is supported", false, tlsVersion(tls.VersionTLS12)},
	{"tls.version-1.3", Should, "RFC 9325 3.1.1", "TLS 1.3 is supported", false, tlsVersion(tls.VersionTLS13)},
	{"tls.version-1.1", Must, "RFC 8996 5", "TLS 1.1 is refused", false, tlsOld},
	{"tls.alpn", Should, "RFC 7443 3", "the ALPN protocol stun.turn is agreed on", false, tlsALPN},
	{"tls.alpn-none", Must, "RFC 7443 3", "a client without ALPN gets in", false, tlsOffering()},
	{"tls.alpn-other", Should, "RFC 7443 3", "a client that offers http/1.1 beside stun.turn gets in", false, tlsOffering("http/1.1", "stun.turn")},
}

// secured connects with the target's configuration, changed.
func (t *T) secured(change func(*tls.Config)) (*client, tls.ConnectionState, error) {
	if t.target.TLS == nil {
		t.skip("the server is tested without TLS")
	}
	nc, err := t.dial("tcp")
	if err != nil {
		t.fail("connect: %v", plain(err))
	}
	config := t.target.TLS.Clone()
	change(config)
	secure, err := t.secure(nc, config)
	if err != nil {
		return nil, tls.ConnectionState{}, err
	}
	return t.over(secure), secure.(*tls.Conn).ConnectionState(), nil
}

func tlsVersion(version uint16) func(*T) {
	return func(t *T) {
		c, _, err := t.secured(func(config *tls.Config) { config.MinVersion, config.MaxVersion = version, version })
		if err != nil {
			t.fail("handshake with %s: %v", tls.VersionName(version), err)
		}
		c.answersBinding()
	}
}

func (c *client) answersBinding() {
	m := c.unsigned(stun.MethodBinding)
	if response := c.answer(m); response.Type.Class != stun.ClassSuccessResponse {
		c.t.fail("Binding: want success, got %s", outcome(response))
	}
}

func tlsOld(t *T) {
	_, _, err := t.secured(func(config *tls.Config) { config.MinVersion, config.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 })
	if err == nil {
		t.fail("handshake with TLS 1.1: want a refusal, got a connection")
	}
	t.log("TLS 1.1: %v", err)
}

func tlsALPN(t *T) {
	_, state, err := t.secured(func(config *tls.Config) { config.NextProtos = []string{"stun.turn"} })
	switch {
	case err != nil:
		t.fail("handshake with ALPN stun.turn: %v", err)
	case state.NegotiatedProtocol == "":
		t.notOffered("handshake with ALPN stun.turn: the server chooses no protocol")
	case state.NegotiatedProtocol != "stun.turn":
		t.fail("handshake with ALPN stun.turn: the server chooses %q", state.NegotiatedProtocol)
	}
}

func tlsOffering(protocols ...string) func(*T) {
	return func(t *T) {
		c, _, err := t.secured(func(config *tls.Config) { config.NextProtos = protocols })
		if err != nil {
			t.fail("handshake with ALPN %q: %v", protocols, err)
		}
		c.answersBinding()
	}
}
