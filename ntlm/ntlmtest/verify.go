package ntlmtest

import (
	"bytes"
	"crypto/hmac"
	"crypto/rc4"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/turngate/turngate/ntlm/internal/nlmp"
	"github.com/turngate/turngate/ntlm/internal/spnego"
)

// Reasons of rejections, for errors.Is. Everything else is a malformed or untimely message.
var (
	ErrNotNTLMv2      = errors.New("response is not NTLMv2")
	ErrUnknownUser    = errors.New("unknown user")
	ErrWrongPassword  = errors.New("wrong password: the proof (NTProofStr) does not match")
	ErrMIC            = errors.New("message integrity code (MIC) missing or wrong")
	ErrChannelBinding = errors.New("channel binding missing or wrong")
	ErrService        = errors.New("response is meant for another service")
	ErrTime           = errors.New("client's clock is off")
	ErrListMIC        = errors.New("SPNEGO's signature of the mechanisms (mechListMIC) missing or wrong")
)

// A response is a decoded AUTHENTICATE message (MS-NLMP 2.2.1.3).
type response struct {
	msg          []byte
	flags        nlmp.Flags
	nt           []byte // NTLMv2 response: 16 bytes of proof, then the blob
	user, domain string // as sent: both go into the proof
	encryptedKey []byte
	pairs        []nlmp.AVPair
}

// verify checks a type 3 against the open challenge, which is spent by it.
func (h *Handshake) verify(msg, listMIC []byte) (user string, err error) {
	if h.challenge == nil {
		return "", errors.New("response (type 3) without a challenge on this connection")
	}
	challenge := h.challenge
	h.challenge = nil
	r, err := parseResponse(msg)
	if err != nil {
		return "", fmt.Errorf("response (type 3): %w", err)
	}
	user, domain := r.account()
	if user == "" {
		return "", errors.New("anonymous response (type 3)")
	}
	err = h.check(r, user, domain, challenge, listMIC)
	h.acceptor.record(user, err)
	if err != nil {
		return "", fmt.Errorf("user %q of domain %q: %w", user, domain, err)
	}
	return user, nil
}

func parseResponse(msg []byte) (*response, error) {
	if len(msg) < nlmp.OffsetVersion {
		return nil, fmt.Errorf("%d bytes, at least %d are needed", len(msg), nlmp.OffsetVersion)
	}
	nt, errNT := nlmp.Field(msg, nlmp.OffsetNT)
	user, errUser := nlmp.Field(msg, nlmp.OffsetUser)
	domain, errDomain := nlmp.Field(msg, nlmp.OffsetDomain)
	key, errKey := nlmp.Field(msg, nlmp.OffsetSessionKey)
	if err := errors.Join(errNT, errUser, errDomain, errKey); err != nil {
		return nil, err
	}
	r := &response{msg: msg, nt: nt, encryptedKey: key, flags: nlmp.Flags(binary.LittleEndian.Uint32(msg[nlmp.OffsetFlags:]))}
	text := func(b []byte) string { return string(b) }
	if r.flags&nlmp.Unicode != 0 {
		text = nlmp.String
	}
	r.user, r.domain = text(user), text(domain)
	return r, nil
}

// account finds the account behind the names: a principal name has the domain in the user's.
func (r *response) account() (user, domain string) {
	if user, domain, ok := strings.Cut(r.user, "@"); ok && r.domain == "" {
		return user, domain
	}
	return r.user, r.domain
}

// check is the verification, the password first: what follows is only worth reading under its proof.
func (h *Handshake) check(r *response, user, domain string, challenge, listMIC []byte) error {
	if err := r.parseNTLMv2(); err != nil {
		return err
	}
	password, ok := h.acceptor.Password(user, domain)
	if !ok {
		return ErrUnknownUser
	}
	ntowf := nlmp.NTOWFv2(nlmp.NTHash(password), r.user, r.domain)
	if !hmac.Equal(nlmp.NTProofStr(ntowf, h.nonce[:], r.nt[16:]), r.nt[:16]) {
		return ErrWrongPassword
	}
	key, err := r.sessionKey(nlmp.SessionBaseKey(ntowf, r.nt[:16]))
	if err != nil {
		return err
	}
	for _, check := range []error{
		h.checkTime(r), h.checkMIC(r, key, challenge), h.checkBinding(r), h.checkService(r), h.checkList(r, key, listMIC),
	} {
		if check != nil {
			return check
		}
	}
	return nil
}

// parseNTLMv2 reads the blob of the response (MS-NLMP 2.2.2.7).
func (r *response) parseNTLMv2() (err error) {
	const blob, pairs = 16, 16 + 28
	if len(r.nt) < pairs || r.nt[blob] != 1 || r.nt[blob+1] != 1 {
		return fmt.Errorf("%w: %d bytes", ErrNotNTLMv2, len(r.nt))
	}
	r.pairs, err = nlmp.ParseAVPairs(r.nt[pairs:])
	return err
}

// keyExchanged tells whether the client made up a session key. curl repeats the flag and sends none.
func (r *response) keyExchanged() bool {
	return r.flags&nlmp.KeyExchange != 0 && len(r.encryptedKey) > 0
}

// sessionKey is the exported session key (MS-NLMP 3.2.5.1.2): the base key, or the one that the client
// made up and sent under it.
func (r *response) sessionKey(base []byte) ([]byte, error) {
	if !r.keyExchanged() {
		return base, nil
	}
	if len(r.encryptedKey) != 16 {
		return nil, fmt.Errorf("KEY_EXCH with a session key of %d bytes instead of 16", len(r.encryptedKey))
	}
	return rc4Once(base, r.encryptedKey), nil
}

// checkTime compares the response's time, by which a recorded one would be old, with our clock.
func (h *Handshake) checkTime(r *response) error {
	now := h.acceptor.now()
	stamp := nlmp.Time(r.nt[24:32])
	if skew := stamp.Sub(now).Abs(); skew > h.acceptor.maxSkew() {
		return fmt.Errorf("%w by %v", ErrTime, skew)
	}
	return nil
}

func (h *Handshake) checkMIC(r *response, key, challenge []byte) error {
	var flags uint32
	if v := nlmp.Lookup(r.pairs, nlmp.AvFlags); len(v) == 4 {
		flags = binary.LittleEndian.Uint32(v)
	}
	switch {
	case flags&nlmp.AvFlagMIC == 0 && h.acceptor.RequireMIC:
		return fmt.Errorf("%w: none sent", ErrMIC)
	case flags&nlmp.AvFlagMIC == 0:
		return nil
	case len(r.msg) < nlmp.AuthenticateLen:
		return fmt.Errorf("%w: message of %d bytes has no room for it", ErrMIC, len(r.msg))
	}
	mic := r.msg[nlmp.OffsetMIC:nlmp.AuthenticateLen]
	if !hmac.Equal(mic, nlmp.MIC(key, h.negotiate, challenge, r.msg)) {
		return fmt.Errorf("%w: it does not match the messages", ErrMIC)
	}
	return nil
}

func (h *Handshake) checkBinding(r *response) error {
	got := nlmp.Lookup(r.pairs, nlmp.AvChannelBindings)
	unbound := got == nil || bytes.Equal(got, nlmp.BindingHash(nil))
	switch {
	case h.binding == nil:
		return nil // no channel, or one that ends elsewhere
	case unbound && h.acceptor.RequireChannelBinding:
		return fmt.Errorf("%w: none sent", ErrChannelBinding)
	case !unbound && !bytes.Equal(got, nlmp.BindingHash(h.binding)):
		return fmt.Errorf("%w: it is of another channel", ErrChannelBinding)
	}
	return nil
}

// checkService compares the service's name. Chromium names the port, too.
func (h *Handshake) checkService(r *response) error {
	got := nlmp.String(nlmp.Lookup(r.pairs, nlmp.AvTargetName))
	want := "HTTP/" + h.acceptor.Host
	if got == "" || h.acceptor.Host == "" || strings.EqualFold(got, want) {
		return nil
	}
	if len(got) > len(want) && strings.EqualFold(got[:len(want)], want) && got[len(want)] == ':' {
		return nil
	}
	return fmt.Errorf("%w: %q instead of %q", ErrService, got, want)
}

// checkList checks the signature of SPNEGO's list of mechanisms (RFC 4178 section 5), which a client
// that can sign must send: it keeps somebody in between from striking Kerberos off.
func (h *Handshake) checkList(r *response, key, listMIC []byte) error {
	if h.mechs == nil || (listMIC == nil && r.flags&nlmp.Sign == 0) {
		return nil
	}
	list, err := spnego.MechList(h.mechs)
	if err != nil {
		return err
	}
	sum := nlmp.Checksum(nlmp.ClientSignKey(key), 0, list)
	if r.keyExchanged() {
		sum = rc4Once(nlmp.ClientSealKey(key, r.flags), sum)
	}
	if !hmac.Equal(listMIC, nlmp.AppendSignature(nil, sum, 0)) {
		return ErrListMIC
	}
	return nil
}

func rc4Once(key, data []byte) []byte {
	c, err := rc4.NewCipher(key)
	if err != nil {
		panic(err) // the keys here have 5 to 16 bytes
	}
	out := make([]byte, len(data))
	c.XORKeyStream(out, data)
	return out
}
