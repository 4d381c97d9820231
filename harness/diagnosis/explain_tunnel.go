package diagnosis

import "fmt"

// tunnelTLS is about the handshake of turns:.
func (e *explainer) tunnelTLS() {
	t := e.r.TunnelTLS
	switch {
	case e.loginPage():
	case e.s.Kind == KindAuthority:
		e.authority(t)
	case e.s.Kind == KindName:
		if !e.otherCertificate("") {
			e.add("tls.name", Certain, "%s", e.s.Error)
		}
	case e.s.Kind == KindExpired:
		if !e.otherCertificate("") {
			e.add("tls.expired", Certain, "%s%s", e.s.Error, issuedBy(t))
		}
	case e.s.Kind == KindPin:
		e.pin(t)
	case e.s.Kind == KindNotTLS:
		e.add("turn.not-tls", Certain, "%s", e.s.Error)
	case e.s.Kind == KindClosed:
		e.closedTunnel()
	case e.s.Kind == KindTimeout && !e.alsoDirect():
		e.add("turn.silent", Certain, "TLS through the tunnel: nothing came within %s; %s", e.took(), e.beside())
	case e.s.Kind != KindTimeout:
		e.add("tls.failed", Likely, "%s%s; %s", e.s.Error, issuedBy(t), e.beside())
	}
}

// authority tells interception from a server whose certificate nobody knows: by the certificate that
// the server shows without the proxy.
func (e *explainer) authority(t *TLS) {
	fact := "the certificate is of an authority that is not trusted here" + issuedBy(t)
	if e.otherCertificate(fact) {
		return
	}
	if t != nil && t.Key == e.r.Pinned && t.Key != "" {
		e.add("tls.untrusted", Certain, "%s; its key is the pinned one", fact)
		return
	}
	if d := e.r.Direct; t != nil && d != nil && d.TLS != nil && d.TLS.SHA256 == t.SHA256 && t.SHA256 != "" {
		e.add("tls.untrusted", Certain, "%s; without the proxy it is the same", fact)
		return
	}
	if e.r.direct() {
		e.add("tls.untrusted", Likely, "%s; there is no proxy on this way", fact)
		e.add("tls.intercepted", Possible, "a firewall may do it, too: compare the certificate with the server's own")
		return
	}
	e.add("tls.intercepted", Likely, "%s; there is no way without the proxy to compare with", fact)
	e.add("tls.untrusted", Possible, "%s", fact)
}

// pin is about a trusted certificate with another key than the pinned one: of an inspection that this
// machine trusts, or the pin is out of date.
func (e *explainer) pin(t *TLS) {
	fact := "the certificate is trusted here and its key is not the pinned one" + issuedBy(t)
	if d := e.r.Direct; d != nil && d.TLS != nil && d.TLS.Key != "" {
		switch d.TLS.Key {
		case t.Key:
			e.add("tls.pin", Certain, "%s; without the proxy it is the same", fact)
			return
		case e.r.Pinned:
			e.add("tls.intercepted", Certain, "%s; without the proxy it is", fact)
			return
		}
	}
	e.add("tls.intercepted", Likely, "%s; there is no way without the proxy to compare with", fact)
	e.add("tls.pin", Possible, "%s", fact)
}

// compared adds interception by an authority that this machine trusts, where the way without the proxy
// shows a certificate of another one. Other keys by the same authority are those of several servers.
func (e *explainer) compared() {
	t, d := e.r.TunnelTLS, e.r.Direct
	if t == nil || t.Key == "" || t.Key == e.r.Pinned || d == nil || d.TLS == nil || d.TLS.Key == "" || d.TLS.Key == t.Key || d.TLS.Issuer == t.Issuer {
		return
	}
	e.add("tls.intercepted", Likely, "through the proxy the certificate is issued by %q, without it by %q", t.Issuer, d.TLS.Issuer)
}

// otherCertificate adds interception where the way without the proxy shows another certificate.
func (e *explainer) otherCertificate(fact string) bool {
	t, d := e.r.TunnelTLS, e.r.Direct
	if t == nil || t.SHA256 == "" || d == nil || d.TLS == nil || d.TLS.SHA256 == "" || d.TLS.SHA256 == t.SHA256 {
		return false
	}
	if fact == "" {
		fact = "through the proxy the certificate is another" + issuedBy(t)
	}
	e.add("tls.intercepted", Certain, "%s; without the proxy it is of %q, issued by %q", fact, d.TLS.Subject, d.TLS.Issuer)
	return true
}

func (e *explainer) loginPage() bool {
	if e.r.First != BytesHTML && e.r.First != BytesHTTP {
		return false
	}
	e.add("proxy.login-page", Likely, "the proxy answers 2xx, and a web page comes instead of the TURN server's answer")
	return true
}

// alsoDirect adds that the server behaves without the proxy as it does through it: that it is the wrong
// server or port.
func (e *explainer) alsoDirect() bool {
	d := e.r.Direct
	switch {
	case d == nil:
	case e.s.Name == StageTURNTLS && d.Reached == "TCP":
		e.add("turn.not-tls", Likely, "%s: %s; without the proxy it is the same", e.s.Name, e.s.Error)
		return true
	case e.s.Name == StageBinding && (d.Reached == "TCP" || d.Reached == "TLS"):
		e.add("turn.not-turn", Likely, "%s: %s; without the proxy it is the same", e.s.Name, e.s.Error)
		return true
	}
	return false
}

// closedTunnel tells a tunnel that never carried anything from one that did.
func (e *explainer) closedTunnel() {
	if e.r.First == "" && e.alsoDirect() {
		return
	}
	if e.r.First == "" {
		e.add("tunnel.closed-after-first-bytes", Likely, "the tunnel opened and was closed at %s before a byte came back; %s", e.s.Name, e.beside())
		return
	}
	e.add("tunnel.cut", Likely, "the tunnel was closed at %s, after data had come through it; %s", e.s.Name, e.beside())
}

// turn is about the TURN server's answers.
func (e *explainer) turn() {
	switch {
	case e.loginPage():
	case e.s.Kind == KindTURNUser:
		e.add("turn.rejected", Certain, "%s", e.s.Error)
	case e.s.Kind == KindTURN:
		e.add("turn.error", Certain, "%s", e.s.Error)
	case e.r.First != "" && !e.speaksTURN():
		e.add("turn.not-turn", Certain, "what came through the tunnel is neither STUN nor TURN: %s", e.s.Error)
	case e.s.Kind == KindClosed:
		if e.r.Secure && e.s.Name == StageBinding && e.otherCertificate("") {
			return // opened, and what was inside did not please
		}
		e.closedTunnel()
	case e.s.Kind == KindTimeout && e.r.Secure && e.s.Name == StageBinding && e.otherCertificate(""): // opened, and it waits for HTTP
	case e.s.Kind == KindTimeout && e.alsoDirect():
	case e.s.Kind == KindTimeout:
		e.add("turn.silent", Certain, "%s: no answer within %s; %s", e.s.Name, e.took(), e.beside())
	case e.s.Name == StageBinding:
		e.add("turn.not-turn", Likely, "%s", e.s.Error)
	default:
		e.add("turn.error", Likely, "%s", e.s.Error)
	}
}

// speaksTURN tells whether the first bytes are what the URI promises. Inside TLS nothing is seen, and
// the handshake has been judged before.
func (e *explainer) speaksTURN() bool {
	if e.r.Secure {
		return e.r.First == BytesTLS
	}
	return e.r.First == BytesSTUN
}

func (e *explainer) media() {
	switch {
	case e.s.Kind == KindSecond:
		e.add("media.second-tunnel", Certain, "%s", e.s.Error)
	case e.s.Kind == KindTURN && e.r.TURNCode == 403:
		e.add("turn.peer-forbidden", Certain, "%s", e.s.Error)
	case e.s.Kind == KindTURN, e.s.Kind == KindTURNUser:
		e.add("turn.error", Certain, "%s", e.s.Error)
	case e.s.Kind == KindLost, e.s.Kind == KindTimeout:
		e.add("media.lost", Certain, "%s%s", e.s.Error, sent(e.r.Media))
	case e.s.Kind == KindClosed:
		e.closedTunnel()
	}
}

func sent(m *Media) string {
	if m == nil {
		return ""
	}
	return fmt.Sprintf(" (%d sent, %d came back)", m.Sent, m.Received)
}
