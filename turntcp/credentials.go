package turntcp

import (
	"crypto/hmac"
	"crypto/sha1" // the TURN REST API is defined with HMAC-SHA1
	"encoding/base64"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"
)

// Credentials knows the users of a server. Any number of goroutines may call it at the same time; a
// slow answer delays the connection that asks, and no other.
type Credentials interface {
	// Lookup returns the account of a USERNAME, or false if there is none.
	Lookup(username string) (Account, bool)
}

// An Account is what a server must know of a user.
type Account struct {
	// Name stands for the user in the log and is what all requests of an allocation must share. It
	// may be less than the USERNAME: "alice" of "1795000000:alice".
	Name string

	// Passwords are all that are valid, in the order in which they are tried; several while a secret
	// is being replaced.
	Passwords []string

	// Keys are valid, too, and tried before the passwords: the MD5 hash of "user:realm:password" (RFC
	// 8489 section 9.2.2), where the password itself shall not be kept.
	Keys [][]byte

	// Expires ends the right to new allocations. One that lives can be refreshed beyond it, so that
	// a call outlasts its credential. Zero is never.
	Expires time.Time
}

// String is the name; it keeps the passwords out of logs.
func (a Account) String() string { return a.Name }

// GoString is String.
func (a Account) GoString() string { return strconv.Quote(a.Name) }

type staticCredentials struct{ passwords map[string]string }

// StaticCredentials are users with a password each.
func StaticCredentials(passwords map[string]string) Credentials {
	return &staticCredentials{maps.Clone(passwords)}
}

func (s *staticCredentials) Lookup(username string) (Account, bool) {
	password, ok := s.passwords[username]
	return Account{Name: username, Passwords: []string{password}}, ok
}

func (s *staticCredentials) String() string   { return fmt.Sprintf("%d static users", len(s.passwords)) }
func (s *staticCredentials) GoString() string { return s.String() }

type staticKeys struct{ keys map[string][]byte }

// StaticKeys are users with a key each, as Account.Keys has it.
func StaticKeys(keys map[string][]byte) Credentials {
	return &staticKeys{maps.Clone(keys)}
}

func (s *staticKeys) Lookup(username string) (Account, bool) {
	key, ok := s.keys[username]
	return Account{Name: username, Keys: [][]byte{key}}, ok
}

func (s *staticKeys) String() string   { return fmt.Sprintf("%d static keys", len(s.keys)) }
func (s *staticKeys) GoString() string { return s.String() }

type restCredentials struct{ secrets []string }

// RESTCredentials are those of the TURN REST API (draft-uberti-behave-turn-rest-00): the user name
// is "expiry:user" with the expiry in seconds since 1970, the password the HMAC-SHA1 of that under a
// secret shared with whoever hands them out. Give the new secret and the old one while it is being
// replaced.
func RESTCredentials(secrets ...string) Credentials {
	return &restCredentials{append([]string(nil), secrets...)}
}

func (r *restCredentials) Lookup(username string) (Account, bool) {
	expiry, name, named := strings.Cut(username, ":")
	seconds, err := strconv.ParseInt(expiry, 10, 64)
	if err != nil || len(r.secrets) == 0 {
		return Account{}, false
	}
	if !named || name == "" {
		name = username
	}
	a := Account{Name: name, Expires: time.Unix(seconds, 0)}
	for _, secret := range r.secrets {
		a.Passwords = append(a.Passwords, restPassword(secret, username))
	}
	return a, true
}

func (r *restCredentials) String() string   { return fmt.Sprintf("%d REST secrets", len(r.secrets)) }
func (r *restCredentials) GoString() string { return r.String() }

// RESTCredential makes the user name and password of the TURN REST API that are valid for ttl from
// now. An empty user makes a user name of the expiry alone.
func RESTCredential(secret, user string, ttl time.Duration, now time.Time) (username, password string) {
	username = strconv.FormatInt(now.Add(ttl).Unix(), 10)
	if user != "" {
		username += ":" + user
	}
	return username, restPassword(secret, username)
}

func restPassword(secret, username string) string {
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write([]byte(username))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
