package turntcp

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestRESTCredential(t *testing.T) {
	// printf '1795390000:alice' | openssl dgst -sha1 -hmac north -binary | base64
	user, password := RESTCredential("north", "alice", time.Hour, time.Unix(1795386400, 0))
	if user != "1795390000:alice" || password != "+sw0YOvNAMgqYpoTPQp4dYISCQI=" {
		t.Errorf("got %q, %q, want %q, %q", user, password, "1795390000:alice", "+sw0YOvNAMgqYpoTPQp4dYISCQI=")
	}
}

func TestAuthentication(t *testing.T) {
	now := time.Now()
	rest := func(secret, user string, ttl time.Duration) func() (string, string) {
		return func() (string, string) { return RESTCredential(secret, user, ttl, now) }
	}
	static := func(user, password string) func() (string, string) {
		return func() (string, string) { return user, password }
	}
	restServer := RESTCredentials("new", "old")
	staticServer := StaticCredentials(map[string]string{testUser: testPassword})
	tests := []struct {
		name   string
		server Credentials
		client func() (string, string)
		want   bool
	}{
		{"static", staticServer, static(testUser, testPassword), true},
		{"static, wrong password", staticServer, static(testUser, ""), false},
		{"static, unknown user", staticServer, static("", testPassword), false},
		{"REST, new secret", restServer, rest("new", "alice", time.Hour), true},
		{"REST, old secret", restServer, rest("old", "alice", time.Hour), true},
		{"REST, no name", restServer, rest("old", "", time.Hour), true},
		{"REST, unknown secret", restServer, rest("older", "alice", time.Hour), false},
		{"REST, expired", restServer, rest("new", "alice", -time.Second), false},
		{"REST, no time", restServer, static("alice", restPassword("new", "alice")), false},
		{"REST, time too large", restServer, static("99999999999999999999", restPassword("new", "99999999999999999999")), false},
		{"REST, no secrets", RESTCredentials(), rest("", "alice", time.Hour), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := newTestServer(t, func(c *Config) { c.Credentials = tt.server })
			user, password := tt.client()
			if user == "" {
				user = "nobody"
			}
			c := newTestClient(t, dial(t, "tcp", srv.addr["tcp"]), ClientConfig{Username: user, Password: password})
			_, err := c.Allocate(context10(t))
			var refused *Error
			if (err == nil) != tt.want || err != nil && (!errors.As(err, &refused) || refused.Code != 401) {
				t.Errorf("got %v, want success %v or else 401", err, tt.want)
			}
		})
	}
}

// expiring is a user whose credential expires when the test says so.
type expiring struct{ expires atomic.Pointer[time.Time] }

func (e *expiring) at(t time.Time) { e.expires.Store(&t) }

func (e *expiring) Lookup(string) (Account, bool) {
	return Account{Name: testUser, Passwords: []string{testPassword}, Expires: *e.expires.Load()}, true
}

func TestAllocationOutlivesItsCredential(t *testing.T) {
	user := new(expiring)
	user.at(time.Now().Add(time.Hour))
	srv := newTestServer(t, func(c *Config) { c.Credentials = user })
	c := newTestClient(t, dial(t, "tcp", srv.addr["tcp"]), ClientConfig{})
	c.allocate(t)
	user.at(time.Now().Add(-time.Hour))
	if _, err := c.Refresh(context10(t), 10*time.Minute); err != nil {
		t.Errorf("refresh after expiry: %v", err)
	}
	if _, err := c.Refresh(context10(t), 0); err != nil {
		t.Errorf("delete after expiry: %v", err)
	}
	var refused *Error
	if _, err := c.Allocate(context10(t)); !errors.As(err, &refused) || refused.Code != 401 {
		t.Errorf("new allocation after expiry: got %v, want error 401", err)
	}
}

func TestSecretsStayOutOfSight(t *testing.T) {
	const secret = "the secret"
	account, _ := StaticCredentials(map[string]string{"u": secret}).Lookup("u")
	cfg := ClientConfig{Username: "u", Password: secret}
	shown := []any{
		account, &account, cfg, &cfg,
		Config{Credentials: StaticCredentials(map[string]string{"u": secret})},
		Config{Credentials: RESTCredentials(secret)},
	}
	for _, v := range shown {
		for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
			if s := fmt.Sprintf(format, v); strings.Contains(s, secret) || strings.Contains(s, fmt.Sprintf("%x", secret)) {
				t.Errorf("%s of %T shows the secret: %s", format, v, s)
			}
		}
	}
}
