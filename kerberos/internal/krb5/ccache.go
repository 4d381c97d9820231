package krb5

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// A CCache is a credential cache file (MIT krb5 documentation, "Credential cache file format",
// versions 3 and 4; 1 and 2 are in the byte order of their machine and have not been written by
// default since 1996).
type CCache struct {
	Client Name
	Realm  string
	Creds  []Credential
}

// A Credential is a ticket and its session key.
type Credential struct {
	Client               Name
	ClientRealm          string
	Server               Name
	ServerRealm          string
	Key                  Key
	Start, End, RenewEnd time.Time
	Flags                uint32
	Ticket               []byte
}

// ParseCCache reads a credential cache. Entries that hold configuration, not tickets, are left out.
func ParseCCache(b []byte) (*CCache, error) {
	if len(b) < 2 || b[0] != 5 {
		return nil, errors.New("not a credential cache: it does not begin with the byte 05")
	}
	version := b[1]
	if version != 3 && version != 4 {
		return nil, fmt.Errorf("credential cache of version %d, want 3 or 4", version)
	}
	r := &reader{b: b[2:]}
	if version == 4 {
		r.take(uint32(r.u16())) // header fields: only the KDC's clock offset is defined
	}
	c := &CCache{}
	c.Client, c.Realm = parsePrincipal(r)
	for !r.done() {
		cred := parseCredential(r, version)
		if r.err == nil && !strings.HasPrefix(cred.ServerRealm, "X-CACHECONF:") {
			c.Creds = append(c.Creds, cred)
		}
	}
	return c, r.err
}

func parsePrincipal(r *reader) (n Name, realm string) {
	n.Type = int32(r.u32())
	parts := r.u32()
	realm = string(r.take(r.u32()))
	for ; parts > 0 && r.err == nil; parts-- {
		n.Parts = append(n.Parts, string(r.take(r.u32())))
	}
	return n, realm
}

func parseCredential(r *reader, version byte) (c Credential) {
	c.Client, c.ClientRealm = parsePrincipal(r)
	c.Server, c.ServerRealm = parsePrincipal(r)
	c.Key.Etype = int32(int16(r.u16()))
	if version == 3 {
		r.u16() // the type once more
	}
	c.Key.Value = r.take(r.u32())
	authTime := r.time()
	c.Start, c.End, c.RenewEnd = r.time(), r.time(), r.time()
	if c.Start.IsZero() {
		c.Start = authTime
	}
	r.u8() // is_skey: user-to-user tickets, which are not used
	c.Flags = r.u32()
	for range 2 { // addresses, authorization data
		for n := r.u32(); n > 0 && r.err == nil; n-- {
			r.u16()
			r.take(r.u32())
		}
	}
	c.Ticket = r.take(r.u32())
	r.take(r.u32()) // the second ticket
	return c
}
