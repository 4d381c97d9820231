package service

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"

	"github.com/turngate/turngate/turntcp"
)

// A Filter chooses sessions. Empty fields choose all. Addresses are ADDRESS, ADDRESS:PORT or a CIDR.
type Filter struct {
	User   string
	Client string // the socket's address, or the one that a PROXY header had
	Relay  string
	Peer   string
}

// Check says what is wrong with it: which field, by the name of the flag, and why.
func (f Filter) Check() error {
	if _, err := parseFilter(f.query()); err != nil {
		return fmt.Errorf("--%w", err)
	}
	return nil
}

func (f Filter) query() string {
	q := make(url.Values)
	for key, text := range map[string]string{"user": f.User, "client": f.Client, "relay": f.Relay, "peer": f.Peer} {
		if text != "" {
			q.Set(key, text)
		}
	}
	return q.Encode()
}

// A filter is a Filter that has been read.
type filter struct {
	user                string
	client, relay, peer where
}

// A where is a range of addresses, and a port or any (0). The zero where is everywhere.
type where struct {
	prefix netip.Prefix
	port   uint16
}

func (w where) has(a netip.AddrPort) bool {
	return w == where{} || w.prefix.Contains(a.Addr().Unmap()) && (w.port == 0 || w.port == a.Port())
}

func parseWhere(text string) (where, error) {
	if a, err := netip.ParseAddrPort(text); err == nil && a.Port() != 0 && a.Addr().Zone() == "" {
		at := a.Addr().Unmap()
		return where{netip.PrefixFrom(at, at.BitLen()), a.Port()}, nil
	}
	p, err := parsePrefix(text)
	if err != nil {
		return where{}, fmt.Errorf("%q: want ADDRESS, ADDRESS:PORT or a range such as 10.20.0.0/16", text)
	}
	return where{prefix: p}, nil
}

// maxQuery bounds what is asked, in bytes.
const maxQuery = 4096

// parseQuery reads a query of the keys that there may be, each at most once and not empty.
func parseQuery(raw string, keys ...string) (map[string]string, error) {
	if len(raw) > maxQuery {
		return nil, fmt.Errorf("a query of more than %d bytes", maxQuery)
	}
	q, err := url.ParseQuery(raw)
	if err != nil {
		return nil, err
	}
	values := make(map[string]string)
	for _, key := range keys {
		if v, ok := q[key]; ok {
			if len(v) != 1 || v[0] == "" {
				return nil, fmt.Errorf("%s: want one value", key)
			}
			values[key] = v[0]
			delete(q, key)
		}
	}
	for key := range q {
		return nil, fmt.Errorf("%q: there is no such key", key)
	}
	return values, nil
}

func parseFilter(raw string) (f filter, err error) {
	q, err := parseQuery(raw, "user", "client", "relay", "peer")
	if err != nil {
		return f, err
	}
	f.user = q["user"]
	for key, to := range map[string]*where{"client": &f.client, "relay": &f.relay, "peer": &f.peer} {
		if text := q[key]; text != "" {
			if *to, err = parseWhere(text); err != nil {
				return f, fmt.Errorf("%s: %w", key, err)
			}
		}
	}
	return f, nil
}

func (f filter) matches(a turntcp.AllocationStats) bool {
	client, _ := netip.ParseAddrPort(a.Client.String())
	return (f.user == "" || f.user == a.User) && (f.client.has(client) || a.Announced.IsValid() && f.client.has(a.Announced)) &&
		f.relay.has(a.Relay) && f.talksTo(a.Peers)
}

func (f filter) talksTo(peers []turntcp.PeerStats) bool {
	if f.peer == (where{}) {
		return true
	}
	for _, p := range peers {
		if f.peer.has(p.Peer) {
			return true
		}
	}
	return false
}

// A kill is a connection, or all that a user has allocations on.
type kill struct {
	connection uint64
	user       string
}

func parseKill(raw string) (k kill, err error) {
	q, err := parseQuery(raw, "connection", "user")
	switch {
	case err != nil:
		return k, err
	case len(q) != 1:
		return k, errors.New("want a connection or a user")
	case q["user"] != "":
		return kill{user: q["user"]}, nil
	}
	k.connection, err = strconv.ParseUint(q["connection"], 10, 64)
	if err != nil || k.connection == 0 {
		return k, fmt.Errorf("connection %q: want its number", q["connection"])
	}
	return k, nil
}
