package kerberostest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/turngate/turngate/kerberos/internal/krb5"
)

// A refusal is an error that the KDC tells the client.
type refusal struct {
	code   int32
	text   string
	data   []byte
	client *krb5.Name
}

func (r *refusal) Error() string {
	name, _ := krb5.ErrorName(r.code)
	return name + " " + r.text
}

func refuse(code int32, format string, args ...any) error {
	return &refusal{code: code, text: fmt.Sprintf(format, args...)}
}

// answer is the reply to a request, nil for bytes that are no request.
func (k *KDC) answer(request []byte) []byte {
	req, err := krb5.ParseKDCReq(request)
	if err != nil {
		k.logf("kdc: malformed request: %v", err)
		return nil
	}
	kind, serve := "AS", k.serveAS
	if req.Type == krb5.TypeTGSReq {
		kind, serve = "TGS", k.serveTGS
	}
	k.count(kind)
	var reply []byte
	err = refuse(krb5.ErrUnavailable, "out of service")
	if !k.wrong().Unavailable {
		reply, err = serve(req)
	}
	if err == nil {
		k.logf("kdc %s: %s-REQ of %q for %q: issued", k.Realm, kind, req.Body.CName, req.Body.Server)
		return reply
	}
	k.logf("kdc %s: %s-REQ of %q for %q: %v", k.Realm, kind, req.Body.CName, req.Body.Server, err)
	r := &refusal{code: krb5.ErrGeneric, text: err.Error()}
	errors.As(err, &r)
	return k.refusalReply(r, req.Body.Server)
}

func (k *KDC) count(kind string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.requests == nil {
		k.requests = map[string]int{}
	}
	k.requests[kind]++
}

func (k *KDC) refusalReply(r *refusal, server krb5.Name) []byte {
	now := k.now()
	m := &krb5.Error{
		Version: krb5.Version,
		Type:    krb5.TypeError,
		STime:   krb5.Time(now),
		SUsec:   krb5.Usec(now),
		Code:    r.code,
		Realm:   k.Realm,
		Server:  server,
		Text:    r.text,
		Data:    r.data,
	}
	if r.client != nil {
		m.CName, m.CRealm = *r.client, k.Realm
	}
	b, err := m.Marshal()
	if err != nil {
		k.logf("kdc %s: cannot encode an error: %v", k.Realm, err)
		return nil
	}
	return b
}

func (k *KDC) errorReply(code int32, server krb5.Name, text string) []byte {
	return k.refusalReply(&refusal{code: code, text: text}, server)
}

// maxSkew is how far clocks may differ (RFC 4120 section 3.1.3 suggests five minutes).
const maxSkew = 5 * time.Minute

func (k *KDC) serveAS(req *krb5.KDCReq) ([]byte, error) {
	body := &req.Body
	f := k.wrong()
	user := k.find(body.CName, k.Realm)
	server := k.find(body.Server, k.Realm)
	switch {
	case user == nil || len(body.CName.Parts) == 0:
		return nil, refuse(krb5.ErrClientUnknown, "no such user")
	case server == nil:
		return nil, refuse(krb5.ErrServiceUnknown, "no such service")
	case slices.Contains(f.Revoked, body.CName.String()):
		return nil, refuse(krb5.ErrClientRevoked, "locked")
	case slices.Contains(f.Expired, body.CName.String()):
		return nil, refuse(krb5.ErrKeyExpired, "password has expired")
	}
	key, ok := firstKey(user, body.Etypes)
	if !ok {
		return nil, refuse(krb5.ErrEtypeUnsupported, "no key of these types")
	}
	if !f.NoPreauth {
		if err := k.checkPreauth(req, user, key); err != nil {
			return nil, err
		}
	}
	info, err := etypeInfo(user, []krb5.Key{key})
	if err != nil {
		return nil, err
	}
	end := k.now().Add(k.lifetime())
	grant := grant{client: body.CName, clientRealm: k.Realm, server: server, body: body, end: end, initial: true}
	return k.reply(krb5.TypeASRep, grant, key, int(user.kvno), krb5.UsageASRep, []krb5.PAData{info})
}

// firstKey is the key of the client's most preferred type.
func firstKey(p *principal, etypes []int32) (krb5.Key, bool) {
	for _, etype := range etypes {
		if key, ok := p.key(etype); ok {
			return key, true
		}
	}
	return krb5.Key{}, false
}

// checkPreauth wants the time encrypted with the user's key (RFC 4120 section 5.2.7.2).
func (k *KDC) checkPreauth(req *krb5.KDCReq, user *principal, preferred krb5.Key) error {
	i := slices.IndexFunc(req.PAData, func(pa krb5.PAData) bool { return pa.Type == krb5.PAEncTimestamp })
	if i < 0 {
		return k.requirePreauth(user, preferred)
	}
	var enc krb5.EncryptedData
	if err := krb5.Decode(req.PAData[i].Value, &enc); err != nil {
		return err
	}
	key, ok := user.key(enc.Etype)
	if !ok {
		return refuse(krb5.ErrEtypeUnsupported, "pre-authentication of another type")
	}
	plain, err := krb5.Decrypt(key, krb5.UsagePreauthTimestamp, enc)
	if err != nil {
		k.countFailure(user.name.String())
		return refuse(krb5.ErrPreauthFailed, "wrong password")
	}
	var stamp krb5.EncTimestamp
	if err := krb5.Decode(plain, &stamp); err != nil {
		return err
	}
	if stamp.Time.Sub(k.now()).Abs() > maxSkew {
		return refuse(krb5.ErrSkew, "pre-authentication")
	}
	return nil
}

func (k *KDC) countFailure(user string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.failures == nil {
		k.failures = map[string]int{}
	}
	k.failures[user]++
}

func (k *KDC) requirePreauth(user *principal, preferred krb5.Key) error {
	info, err := etypeInfo(user, []krb5.Key{preferred})
	if err != nil {
		return err
	}
	data, err := krb5.Encode([]krb5.PAData{info, {Type: krb5.PAEncTimestamp, Value: []byte{}}})
	if err != nil {
		return err
	}
	return &refusal{code: krb5.ErrPreauthRequired, text: "pre-authentication required", data: data, client: &user.name}
}

func etypeInfo(p *principal, keys []krb5.Key) (krb5.PAData, error) {
	var info []krb5.EtypeInfo2Entry
	for _, key := range keys {
		info = append(info, krb5.EtypeInfo2Entry{Etype: key.Etype, Salt: p.salt})
	}
	b, err := krb5.Encode(info)
	return krb5.PAData{Type: krb5.PAEtypeInfo2, Value: b}, err
}

func (k *KDC) lifetime() time.Duration {
	if d := k.wrong().Lifetime; d != 0 {
		return d
	}
	return 10 * time.Hour
}
