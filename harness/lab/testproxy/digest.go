package testproxy

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// DigestConfig configures Digest. Password is the only field it needs.
type DigestConfig struct {
	Realm string

	// Algorithm is MD5 (default), SHA-256, MD5-sess or SHA-256-sess (RFC 7616 section 3.4.2). A
	// proxy that offers several has a Scheme for each, the preferred first.
	Algorithm string

	// Password returns the password of a user. It may be called by several goroutines.
	Password func(user string) (password string, ok bool)

	// Users, if set, are whom hashed user names are looked for among, and userhash=true is offered
	// (RFC 7616 section 3.4.4).
	Users []string

	// NonceLifetime is after how long a nonce is answered with stale=true. Default 5 minutes.
	NonceLifetime time.Duration

	Opaque string           // default "lab"
	Now    func() time.Time // default time.Now
}

// Digest is the Digest scheme with qop=auth (RFC 7616). Nonces are ours by their MAC, expire, and
// take every nonce count once, in any order within a window of 64: connections share nonces. A
// right response with an old nonce or a used count is answered with stale=true. An unknown
// algorithm makes Digest panic.
func Digest(cfg DigestConfig) Scheme {
	d := newDigest(cfg)
	return Scheme{
		Name:      "Digest",
		Challenge: func() string { return d.challenge(false) },
		New:       func(info ConnInfo) Handshake { return &digestHandshake{digest: d, info: info} },
		Claims:    d.claims,
	}
}

type digest struct {
	DigestConfig
	hash    func() hash.Hash
	session bool
	nonces  *nonces
}

func newDigest(cfg DigestConfig) *digest {
	d := &digest{DigestConfig: cfg}
	if d.Algorithm == "" {
		d.Algorithm = "MD5"
	}
	if d.Opaque == "" {
		d.Opaque = "lab"
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	name, session := strings.CutSuffix(d.Algorithm, "-sess")
	d.session = session
	switch name {
	case "MD5":
		d.hash = md5.New
	case "SHA-256":
		d.hash = sha256.New
	default:
		panic("testproxy: no Digest algorithm " + d.Algorithm)
	}
	d.nonces = newNonces(orDefault(cfg.NonceLifetime, 5*time.Minute), d.Now)
	return d
}

func (d *digest) challenge(stale bool) string {
	s := fmt.Sprintf(`realm=%s, nonce="%s", qop="auth", algorithm=%s, opaque=%s, charset=UTF-8`,
		quote(d.Realm), d.nonces.issue(), d.Algorithm, quote(d.Opaque))
	if len(d.Users) > 0 {
		s += ", userhash=true"
	}
	if stale {
		s += ", stale=true"
	}
	return s
}

// claims tells whether credentials name our algorithm; without one they mean MD5.
func (d *digest) claims(credentials string) bool {
	params, err := parseParams(credentials)
	if err != nil {
		return true // so that the reason of the rejection says what is wrong with them
	}
	algorithm, named := params["algorithm"]
	return strings.EqualFold(algorithm, d.Algorithm) || !named && d.Algorithm == "MD5"
}

type digestHandshake struct {
	*digest
	info    ConnInfo
	rspauth string
}

// Info is the Proxy-Authentication-Info of RFC 7616 section 3.5.
func (h *digestHandshake) Info() string { return h.rspauth }

func (h *digestHandshake) Accept(credentials string) (challenge, user string, err error) {
	p, err := parseDigest(credentials)
	if err != nil {
		return "", "", err
	}
	user = h.user(p)
	if err := h.check(p); err != nil {
		return "", user, err
	}
	password, known := h.Password(user)
	ha1 := h.ha1(p, user, password)
	if want := h.response(p, ha1, h.info.Method); !known || !hmac.Equal([]byte(want), []byte(p["response"])) {
		return "", user, errors.New("wrong user or password")
	}
	if !h.nonces.use(p["nonce"], p["nc"]) {
		return h.challenge(true), "", nil
	}
	h.rspauth = fmt.Sprintf(`qop=auth, rspauth="%s", cnonce=%s, nc=%s`, h.response(p, ha1, ""), quote(p["cnonce"]), p["nc"])
	return "", user, nil
}

// parseDigest reads credentials and checks their form (RFC 7616 section 3.4). username* is decoded
// into username.
func parseDigest(credentials string) (map[string]string, error) {
	p, err := parseParams(credentials)
	if err != nil {
		return nil, fmt.Errorf("digest credentials: %w", err)
	}
	if extended, ok := p["username*"]; ok {
		name, err := decodeExtended(extended)
		if _, both := p["username"]; both || err != nil || p["userhash"] == "true" {
			return nil, errors.New("digest credentials: bad username*")
		}
		p["username"] = name
	}
	for _, name := range []string{"username", "realm", "nonce", "uri", "response", "qop", "nc", "cnonce"} {
		if p[name] == "" {
			return nil, fmt.Errorf("digest credentials without %s", name)
		}
	}
	if _, err := strconv.ParseUint(p["nc"], 16, 32); err != nil || len(p["nc"]) != 8 {
		return nil, errors.New("digest credentials: nc is not 8 hexadecimal digits")
	}
	if strings.ContainsFunc(p["cnonce"]+p["username"], unicode.IsControl) {
		return nil, errors.New("digest credentials: control characters in cnonce or username")
	}
	return p, nil
}

// decodeExtended decodes a value of RFC 5987 in UTF-8.
func decodeExtended(s string) (string, error) {
	charset, rest, _ := strings.Cut(s, "'")
	_, value, found := strings.Cut(rest, "'")
	if !found || !strings.EqualFold(charset, "UTF-8") {
		return "", errors.New("not UTF-8'language'value")
	}
	name, err := url.PathUnescape(value)
	if err == nil && !utf8.ValidString(name) {
		return "", errors.New("not UTF-8")
	}
	return name, err
}

// user is whom the credentials name, resolved if the name is hashed.
func (d *digest) user(p map[string]string) string {
	if p["userhash"] != "true" {
		return p["username"]
	}
	for _, user := range d.Users {
		if d.sum(user, d.Realm) == p["username"] {
			return user
		}
	}
	return ""
}

// check compares what the credentials quote with what we offered and with the request.
func (h *digestHandshake) check(p map[string]string) error {
	switch {
	case p["realm"] != h.Realm:
		return errors.New("digest credentials for another realm")
	case p["opaque"] != h.Opaque:
		return errors.New("digest credentials with another opaque")
	case p["qop"] != "auth":
		return errors.New("digest credentials with a qop that was not offered")
	case p["uri"] != h.info.Target:
		return fmt.Errorf("digest credentials for uri %q in a request for %q", p["uri"], h.info.Target)
	case p["userhash"] == "true" && len(h.Users) == 0:
		return errors.New("digest credentials with userhash, which was not offered")
	case !h.nonces.ours(p["nonce"]):
		return errors.New("digest credentials with a nonce that is not ours")
	}
	return nil
}

func (d *digest) ha1(p map[string]string, user, password string) string {
	ha1 := d.sum(user, d.Realm, password)
	if d.session {
		ha1 = d.sum(ha1, p["nonce"], p["cnonce"])
	}
	return ha1
}

// response is RFC 7616 section 3.4.1, and rspauth with an empty method.
func (d *digest) response(p map[string]string, ha1, method string) string {
	return d.sum(ha1, p["nonce"], p["nc"], p["cnonce"], p["qop"], d.sum(method, p["uri"]))
}

func (d *digest) sum(parts ...string) string {
	h := d.hash()
	h.Write([]byte(strings.Join(parts, ":")))
	return hex.EncodeToString(h.Sum(nil))
}
