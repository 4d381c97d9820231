package proxyconnect

import (
	"context"
	"crypto/md5" // RFC 7616 still names it, and Squid knows nothing else
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"
)

// maxStale bounds how often one connection follows a proxy that calls its own fresh nonces stale.
const maxStale = 2

// Digest returns the mechanism of RFC 7616 with MD5, SHA-256 and their -sess variants, qop=auth or
// none (RFC 2069). A stale nonce is answered anew and is no failed attempt.
func Digest(user, password string) Mechanism {
	return Mechanism{
		Scheme:     "Digest",
		Credential: PasswordCredential(user),
		Supports: func(challenge string) bool {
			_, err := parseDigest(challenge)
			return err == nil
		},
		Begin: func(_ context.Context, r Request) (Exchange, error) {
			if user == "" {
				return nil, absence("no user name for Digest")
			}
			return &digest{user: user, password: password, method: r.Method, uri: r.Target, cnonce: rand.Text}, nil
		},
	}
}

type digest struct {
	user, password, method, uri string
	cnonce                      func() string
	sent                        int
}

func (d *digest) Next(_ context.Context, challenge string) (string, error) {
	c, err := parseDigest(challenge)
	if d.sent > 0 && (err != nil || !c.stale) {
		return "", rejection("the proxy rejects user and password")
	}
	if err != nil {
		return "", err
	}
	if d.sent > maxStale {
		return "", errors.New("the proxy calls every nonce stale")
	}
	d.sent++
	return d.answer(c), nil
}

// digestChallenge is what RFC 7616 section 3.3 lets a server say.
type digestChallenge struct {
	realm, nonce, opaque, algorithm string
	hash                            func() hash.Hash
	session                         bool // the -sess variant
	qop                             bool // "auth" was offered
	stale, userhash                 bool
}

func parseDigest(challenge string) (c digestChallenge, err error) {
	p := Challenge{Rest: challenge}.Params()
	c = digestChallenge{
		realm: p["realm"], nonce: p["nonce"], opaque: p["opaque"], algorithm: p["algorithm"],
		stale: strings.EqualFold(p["stale"], "true"), userhash: strings.EqualFold(p["userhash"], "true"),
	}
	if c.nonce == "" {
		return c, errors.New("the Digest challenge has no nonce")
	}
	switch base, sess := strings.CutSuffix(strings.ToUpper(c.algorithm), "-SESS"); base {
	case "", "MD5":
		c.hash, c.session = md5.New, sess
	case "SHA-256":
		c.hash, c.session = sha256.New, sess
	default:
		return c, fmt.Errorf("unknown Digest algorithm %q", clip(c.algorithm))
	}
	if qop := p["qop"]; qop != "" {
		for q := range strings.SplitSeq(qop, ",") {
			c.qop = c.qop || strings.EqualFold(strings.TrimSpace(q), "auth")
		}
		if !c.qop {
			return c, fmt.Errorf("unknown Digest qop %q", clip(qop))
		}
	}
	return c, nil
}

func (c digestChallenge) h(parts ...string) string {
	h := c.hash()
	h.Write([]byte(strings.Join(parts, ":")))
	return hex.EncodeToString(h.Sum(nil))
}

// answer computes the response of RFC 7616 section 3.4. Every connection starts from the challenge
// it was given, so the nonce count is always 1.
func (d *digest) answer(c digestChallenge) string {
	const nc = "00000001"
	cnonce := d.cnonce()
	ha1 := c.h(d.user, c.realm, d.password)
	if c.session {
		ha1 = c.h(ha1, c.nonce, cnonce)
	}
	ha2 := c.h(d.method, d.uri)
	user := d.user
	if c.userhash {
		user = c.h(d.user, c.realm)
	}
	var p params
	p.quoted("username", user)
	p.quoted("realm", c.realm)
	p.quoted("nonce", c.nonce)
	p.quoted("uri", d.uri)
	if c.qop {
		p.quoted("response", c.h(ha1, c.nonce, nc, cnonce, "auth", ha2))
		p.bare("qop", "auth")
		p.bare("nc", nc)
		p.quoted("cnonce", cnonce)
	} else {
		p.quoted("response", c.h(ha1, c.nonce, ha2))
		if c.session {
			p.quoted("cnonce", cnonce)
		}
	}
	if c.algorithm != "" {
		p.bare("algorithm", c.algorithm)
	}
	if c.opaque != "" {
		p.quoted("opaque", c.opaque)
	}
	if c.userhash {
		p.bare("userhash", "true")
	}
	return strings.Join(p, ", ")
}

// params builds a list of auth-params.
type params []string

func (p *params) bare(name, value string) { *p = append(*p, name+"="+value) }

func (p *params) quoted(name, value string) {
	*p = append(*p, name+`="`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value)+`"`)
}
