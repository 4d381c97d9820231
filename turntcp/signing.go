package turntcp

import (
	"time"

	"github.com/pion/stun/v4"
	"github.com/pion/turn/v5"
)

// authenticate returns the key that the request should be signed with; pion checks it.
func (c *conn) authenticate(ra *turn.RequestAttributes) (string, []byte, bool) {
	switch {
	case !c.lookUp(ra.Username):
		return "", nil, false
	case ra.Realm != c.srv.cfg.Realm:
		c.reject(ra.Username, "another realm")
		return "", nil, false
	}
	return c.account, c.key, true
}

// A signer is the user that a request says it is from.
type signer struct {
	name  string
	asked bool
	known bool
}

// lookUp finds the account of a user and the key of the request, once for each request.
func (c *conn) lookUp(username string) bool {
	if !c.signer.asked || c.signer.name != username {
		c.signer = signer{name: username, asked: true, known: c.find(username)}
	}
	return c.signer.known
}

func (c *conn) find(username string) bool {
	account, ok := c.srv.cfg.Credentials.Lookup(username)
	expired := !account.Expires.IsZero() && time.Now().After(account.Expires)
	switch {
	case !ok || len(account.Passwords)+len(account.Keys) == 0:
		c.reject(username, "unknown user")
		return false
	case expired && c.flow() == nil && Frame(c.request).messageType() != typeConnectionBind:
		c.reject(username, "expired")
		return false
	case c.srv.cfg.MaxCredentialTTL > 0 && account.Expires.After(time.Now().Add(c.srv.cfg.MaxCredentialTTL)):
		c.reject(username, "expires too late")
		return false
	}
	c.account = account.Name
	c.key = c.matchingKey(username, account)
	return true
}

// matchingKey returns the key of the password that the request was signed with, or that of the first.
func (c *conn) matchingKey(username string, account Account) stun.MessageIntegrity {
	var keys []stun.MessageIntegrity
	for _, k := range account.Keys {
		keys = append(keys, k)
	}
	for _, p := range account.Passwords {
		keys = append(keys, stun.NewLongTermIntegrity(username, c.srv.cfg.Realm, p))
	}
	if len(keys) == 1 {
		return keys[0]
	}
	m := &stun.Message{Raw: append([]byte(nil), c.request...)}
	if m.Decode() == nil {
		for _, key := range keys {
			if key.Check(m) == nil {
				return key
			}
		}
	}
	return keys[0]
}

// authenticated is told pion's verdict on the key.
func (c *conn) authenticated(user string, ok bool) {
	if !ok {
		c.reject(user, "wrong password")
		return
	}
	c.rejected = 0
	c.keepNonce()
	c.mu.Lock()
	c.setIdleDeadline()
	c.mu.Unlock()
	if Frame(c.request).hasUnknown() {
		return
	}
	c.verdict = c.judge(c.request)
	if !c.replyMismatch() {
		c.meetAsked()
		c.takeOver()
	}
}
