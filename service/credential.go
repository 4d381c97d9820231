package service

import (
	"errors"
	"fmt"
	"time"

	"github.com/turngate/turngate/turntcp"
)

// A Credential is one of the TURN REST API (draft-uberti-behave-turn-rest-00), with the names that
// its JSON has there.
type Credential struct {
	Username string `json:"username"`
	Password string `json:"password"`
	TTL      int64  `json:"ttl"` // seconds
}

// String is the user name; it keeps the password out of logs.
func (c Credential) String() string { return c.Username }

// GoString is String.
func (c Credential) GoString() string { return c.Username }

// maxTTL is a year: what lasts longer is a typing error, or should be a user with a password.
const maxTTL = 366 * 24 * time.Hour

// NewCredential makes a credential that is valid for ttl from now, under the first secret of a file
// as Config.AuthSecretFile names it. The user may be empty.
func NewCredential(secretFile, user string, ttl time.Duration, now time.Time) (Credential, error) {
	switch {
	case ttl < time.Second || ttl > maxTTL:
		return Credential{}, fmt.Errorf("ttl %v: want at least 1s and at most %v", ttl, maxTTL)
	case !printable(user):
		return Credential{}, errors.New("user: holds control characters, or is not in UTF-8")
	}
	text, err := readBounded(secretFile, maxFile)
	if err != nil {
		return Credential{}, fmt.Errorf("secret file: %w", err)
	}
	secrets, problems := parseSecrets(secretFile, text)
	if len(problems) > 0 {
		return Credential{}, &ConfigError{problems}
	}
	c := Credential{TTL: int64(ttl / time.Second)}
	c.Username, c.Password = turntcp.RESTCredential(secrets[0], user, ttl, now)
	if len(c.Username) > maxUser {
		return Credential{}, fmt.Errorf("user: %d bytes make a user name of more than %d", len(user), maxUser)
	}
	return c, nil
}
