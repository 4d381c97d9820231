package ntlm

import (
	"fmt"
	"strings"
	"unicode/utf16"

	"github.com/turngate/turngate/ntlm/internal/nlmp"
)

// maxName bounds each name that goes into a message, in UTF-16 code units. A DNS name has 255 at
// most, a user name of Active Directory 256.
const maxName = 512

// A Client holds one account. Any number of exchanges may be begun with it at once; it must not be
// changed after the first.
//
// Printing it with any verb of fmt or with slog shows the account and no secret.
type Client struct {
	// User is "alice", `CORP\alice` or a user principal name, "alice@corp.example". A principal name
	// is sent as it is, with no domain: the domain controller finds the account.
	User string

	// Password of the user. An empty one counts as absent.
	Password string `json:"-"`

	// NTHash is used instead of a Password when set: the 16 bytes of MD4 of the password in
	// UTF-16LE. It is as secret as the password.
	NTHash []byte `json:"-"`

	// Domain is the user's domain where User names none. Optional: many servers assume their own.
	Domain string

	// Workstation is the name of this machine, which domain controllers may log or restrict logons
	// by. Default is none.
	Workstation string

	// SPNEGO wraps the messages as RFC 4178 says, for the scheme Negotiate. The zero value sends
	// bare NTLM messages, for the scheme NTLM; most acceptors of Negotiate take these too.
	SPNEGO bool
}

// Begin starts the handshake of one connection to a proxy.
//
// proxyHost is the proxy's name or address as configured, without port; the message names the
// service "HTTP/proxyHost" (MsvAvTargetName, MS-NLMP 2.2.2.1), and none when it is "".
// channelBinding is the application data of the GSS-API channel binding to an https proxy,
// "tls-server-end-point:" and the hash of its certificate (RFC 5929 section 4), or nil when there
// is none.
//
// A NoCredentialError says that there is no user or no password.
func (c *Client) Begin(proxyHost string, channelBinding []byte) (*Exchange, error) {
	hash, err := c.hash()
	if err != nil {
		return nil, err
	}
	user, domain := c.account()
	if user == "" {
		return nil, &NoCredentialError{Missing: "user"}
	}
	for what, name := range map[string]string{"user": user, "domain": domain, "workstation": c.Workstation, "proxy host": proxyHost} {
		if n := len(utf16.Encode([]rune(name))); n > maxName {
			return nil, fmt.Errorf("ntlm: %s of %d UTF-16 units, limit %d", what, n, maxName)
		}
	}
	return &Exchange{
		user: user, domain: domain, workstation: c.Workstation, ntHash: hash,
		proxyHost: proxyHost, bound: channelBinding != nil, binding: nlmp.BindingHash(channelBinding),
		spnego: c.SPNEGO,
	}, nil
}

// hash returns the NT hash, from the password when there is no hash.
func (c *Client) hash() ([]byte, error) {
	switch {
	case len(c.NTHash) == 16:
		return append([]byte(nil), c.NTHash...), nil
	case len(c.NTHash) > 0:
		return nil, fmt.Errorf("ntlm: NT hash of %d bytes, it has 16", len(c.NTHash))
	case c.Password == "":
		return nil, &NoCredentialError{Missing: "password"}
	}
	return nlmp.NTHash(c.Password), nil
}

// account splits User. A principal name has no domain: its part after the @ is a DNS name or an
// alias, which only the domain controller can resolve.
func (c *Client) account() (user, domain string) {
	if domain, user, ok := strings.Cut(c.User, `\`); ok {
		return user, domain
	}
	if strings.Contains(c.User, "@") {
		return c.User, ""
	}
	return c.User, c.Domain
}

// accountName is the account as the user would write it.
func accountName(user, domain string) string {
	if domain == "" {
		return user
	}
	return domain + `\` + user
}
