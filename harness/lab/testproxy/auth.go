package testproxy

import (
	"errors"
	"strings"
)

// A Handshake verifies the credentials of one connection under one scheme. It is used by one
// goroutine.
type Handshake interface {
	// Accept takes what followed the scheme in Proxy-Authorization.
	//
	//   - err != nil: rejected. err is the reason for the record, never a secret; user may name
	//     whose credentials they were, so that the failed attempt is counted for that user.
	//   - user != "": accepted.
	//   - otherwise the proxy answers 407 with challenge, what follows the scheme on the wire.
	//
	// After an error or a user the Handshake is not used again.
	Accept(credentials string) (challenge, user string, err error)
}

// A Finaler is a Handshake with a last token, sent after its scheme in the Proxy-Authenticate field
// of the 2xx (RFC 4559 section 5: mutual authentication). Final is called after acceptance.
type Finaler interface{ Final() string }

// An Informer is a Handshake with a value for the Proxy-Authentication-Info field of the 2xx (RFC
// 9110 section 11.7.3; rspauth of Digest). Info is called after acceptance.
type Informer interface{ Info() string }

// ConnInfo is what a Handshake may know of its connection and of the request that began it.
type ConnInfo struct {
	RemoteAddr string
	Method     string // CONNECT
	Target     string // request-target, as on the wire

	// ChannelBinding is "tls-server-end-point:" and the hash of the certificate that the proxy
	// showed (RFC 5929 section 4), or nil for an http proxy.
	ChannelBinding []byte
}

// A Scheme is one way to authenticate to a Proxy. It is shared by all connections.
type Scheme struct {
	Name string // the auth-scheme as it is offered: "Basic", "NTLM"

	// Challenge returns the auth-params of the bare 407. nil, or "", offers the name alone.
	Challenge func() string

	// New begins a handshake. It is called for the first credentials of the scheme on a
	// connection, and again after each Handshake that has ended.
	New func(ConnInfo) Handshake

	// Claims, if set, tells whether credentials are for this Scheme among those of one name
	// (Digest with several algorithms).
	Claims func(credentials string) bool

	// ConnectionBound: once accepted, the connection needs no more credentials, as with NTLM and
	// Negotiate (RFC 4559 section 6). It matters where a request is authenticated but no tunnel
	// comes of it and the client asks again.
	ConnectionBound bool
}

// offer is the value of the scheme's Proxy-Authenticate field in a bare 407.
func (s Scheme) offer() string {
	if s.Challenge == nil {
		return s.Name
	}
	return strings.TrimSuffix(s.Name+" "+s.Challenge(), " ")
}

// A handshake is what a connection remembers of its authentication.
type handshake struct {
	scheme *Scheme
	Handshake
	bound verdict // accepted for the connection
}

// A verdict is what became of the credentials of one request. Its zero value: there were none.
type verdict struct {
	scheme    string // as offered; "" if it is none of ours
	user      string
	accepted  bool
	challenge string // the next token
	err       error  // rejected, or not even judged
	judged    bool   // by a Handshake: counts as an attempt

	final, info string
}

func (v verdict) why() string {
	switch {
	case v.err != nil:
		return v.err.Error()
	case v.challenge != "":
		return "handshake continues"
	case v.accepted:
		return ""
	}
	return "no credentials"
}

var (
	errNotOffered = errors.New("credentials of a scheme that was not offered")
	errNoVerdict  = errors.New("the handshake returned neither a challenge nor a user nor an error")
)

// authenticate judges the request's credentials and counts the verdict.
func (x *exchange) authenticate() {
	x.v = x.judge()
	for _, h := range x.c.hooks {
		if h.verdict != nil {
			h.verdict(x, &x.v)
		}
	}
	if x.v.accepted {
		x.bind()
	} else if x.v.challenge == "" {
		x.c.handshake = handshake{}
	}
	if x.v.judged {
		x.c.p.book.attempt(x.v)
	}
}

func (x *exchange) judge() verdict {
	if len(x.c.p.Schemes) == 0 {
		return verdict{accepted: true}
	}
	field := x.req.header.Get("Proxy-Authorization")
	if field == "" {
		return x.c.handshake.bound
	}
	name, credentials := cutCredentials(field)
	scheme := x.c.p.scheme(name, credentials)
	if scheme == nil {
		return verdict{err: errNotOffered}
	}
	h := &x.c.handshake
	if h.scheme != scheme || h.Handshake == nil {
		*h = handshake{scheme: scheme, Handshake: scheme.New(x.info())}
	}
	x.c.p.verify()
	return h.judge(credentials)
}

func (h *handshake) judge(credentials string) verdict {
	v := verdict{scheme: h.scheme.Name, judged: true}
	v.challenge, v.user, v.err = h.Accept(credentials)
	v.accepted = v.err == nil && v.user != ""
	switch {
	case v.err != nil:
		v.challenge = ""
	case !v.accepted && v.challenge == "":
		v.err = errNoVerdict
	case v.accepted:
		v.challenge = ""
		if f, ok := h.Handshake.(Finaler); ok {
			v.final = f.Final()
		}
		if f, ok := h.Handshake.(Informer); ok {
			v.info = f.Info()
		}
	}
	return v
}

// bind keeps an acceptance for the connection where the scheme says so, and ends the handshake.
func (x *exchange) bind() {
	scheme := x.c.handshake.scheme
	if scheme == nil {
		return
	}
	x.c.handshake = handshake{}
	if scheme.ConnectionBound {
		kept := x.v
		kept.final, kept.info, kept.judged = "", "", false
		x.c.handshake = handshake{scheme: scheme, bound: kept}
	}
}

func (x *exchange) info() ConnInfo {
	return ConnInfo{RemoteAddr: x.c.remote(), Method: x.req.method, Target: x.req.target, ChannelBinding: x.c.binding}
}

// cutCredentials splits the value of Proxy-Authorization.
func cutCredentials(field string) (scheme, credentials string) {
	scheme, credentials, _ = strings.Cut(field, " ")
	return scheme, strings.Trim(credentials, " \t")
}

func (p *Proxy) scheme(name, credentials string) *Scheme {
	for i := range p.Schemes {
		s := &p.Schemes[i]
		if strings.EqualFold(s.Name, name) && (s.Claims == nil || s.Claims(credentials)) {
			return s
		}
	}
	return nil
}
