package testproxy

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Basic is the Basic scheme with UTF-8 (RFC 7617). check may be called by several goroutines.
func Basic(realm string, check func(user, password string) bool) Scheme {
	return Scheme{
		Name:      "Basic",
		Challenge: func() string { return "realm=" + quote(realm) + `, charset="UTF-8"` },
		New:       func(ConnInfo) Handshake { return basic(check) },
	}
}

type basic func(user, password string) bool

func (check basic) Accept(credentials string) (challenge, user string, err error) {
	user, password, err := parseBasic(credentials)
	if err != nil {
		return "", "", err
	}
	if !check(user, password) {
		return "", user, errors.New("wrong user or password")
	}
	return "", user, nil
}

// parseBasic reads the user-id and password of RFC 7617 section 2. Its errors do not quote them.
func parseBasic(credentials string) (user, password string, err error) {
	raw, err := base64.StdEncoding.DecodeString(credentials)
	if err != nil {
		return "", "", fmt.Errorf("basic credentials: %w", err)
	}
	if !utf8.Valid(raw) {
		return "", "", errors.New("basic credentials are not UTF-8")
	}
	if strings.ContainsFunc(string(raw), unicode.IsControl) {
		return "", "", errors.New("basic credentials contain control characters")
	}
	user, password, found := strings.Cut(string(raw), ":")
	if !found || user == "" {
		return "", "", errors.New("basic credentials are not user:password")
	}
	return user, password, nil
}

// quote writes a quoted-string (RFC 9110 section 5.6.4).
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
