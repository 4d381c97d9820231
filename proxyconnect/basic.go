package proxyconnect

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
)

// Basic returns the mechanism of RFC 7617, user and password in UTF-8. See
// Dialer.AllowBasicOverHTTP.
func Basic(user, password string) Mechanism {
	return Mechanism{
		Scheme:     "Basic",
		Credential: PasswordCredential(user),
		Begin: func(context.Context, Request) (Exchange, error) {
			switch {
			case user == "":
				return nil, absence("no user name for Basic")
			case strings.Contains(user, ":"):
				return nil, errors.New("a user name with a colon cannot be sent by Basic (RFC 7617 section 2)")
			}
			return &basic{credentials: base64.StdEncoding.EncodeToString([]byte(user + ":" + password))}, nil
		},
	}
}

type basic struct {
	credentials string
	sent        bool
}

func (b *basic) Next(context.Context, string) (string, error) {
	if b.sent {
		return "", rejection("the proxy rejects user and password")
	}
	b.sent = true
	return b.credentials, nil
}
