package kerberostest

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/turngate/turngate/kerberos/internal/krb5"
)

// A KDC is the authentication and ticket granting service of one realm on loopback. The fields are
// set before Start; all methods may be called at any time and from any goroutine.
type KDC struct {
	Realm string

	// Etypes are the encryption types that principals get keys of, the strongest first: 17, 18, 19,
	// 20, 23. Default: 18, 17, 20, 19, 23.
	Etypes []int32

	// Now is the clock. Default: time.Now. See Faults.Skew.
	Now func() time.Time

	// Logf gets a line for each request, with no secret in it. Default: nobody.
	Logf func(format string, args ...any)

	mu         sync.Mutex
	principals map[string]*principal // by name@realm
	trusts     map[string]*KDC       // by realm: to which we can refer
	referrals  map[string]string     // by host: the realm that has its services
	failures   map[string]int
	requests   map[string]int
	faults     Faults
	packets    net.PacketConn
	stop       func()
	serving    sync.WaitGroup
}

// Faults are what a KDC can do wrong.
type Faults struct {
	Skew         time.Duration // its clock is ahead by this
	RefuseEtypes []int32       // types for which it has no keys any more (KDC_ERR_ETYPE_NOSUPP)
	Lifetime     time.Duration // of tickets; default 10 h. Negative: they have expired already
	Delay        time.Duration // before every answer
	DropUDP      bool          // requests over UDP are lost
	DropTCP      bool          // connections are closed without an answer
	UDPLimit     int           // bytes; longer replies over UDP become KRB_ERR_RESPONSE_TOO_BIG. Default 65507
	TicketPad    int           // bytes of authorization data in tickets, like those of many groups
	Revoked      []string      // users that are locked (KDC_ERR_CLIENT_REVOKED)
	Expired      []string      // users whose password has expired (KDC_ERR_KEY_EXPIRED)
	Unavailable  bool          // it answers KDC_ERR_SVC_UNAVAILABLE
	NoPreauth    bool          // it gives tickets without pre-authentication
	TruncateTCP  bool          // replies end in the middle
}

// SetFaults replaces the faults.
func (k *KDC) SetFaults(f Faults) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.faults = f
}

func (k *KDC) wrong() Faults {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.faults
}

func (k *KDC) now() time.Time {
	now := k.Now
	if now == nil {
		now = time.Now
	}
	return now().Add(k.wrong().Skew)
}

func (k *KDC) logf(format string, args ...any) {
	if k.Logf != nil {
		k.Logf(format, args...)
	}
}

// A principal's keys: the newest version only.
type principal struct {
	name  krb5.Name
	realm string
	salt  string
	kvno  uint32
	keys  []krb5.Key
}

func (p *principal) key(etype int32) (krb5.Key, bool) {
	for _, key := range p.keys {
		if key.Etype == etype {
			return key, true
		}
	}
	return krb5.Key{}, false
}

func (k *KDC) etypes() []int32 {
	if k.Etypes != nil {
		return k.Etypes
	}
	return krb5.Etypes()
}

// AddUser adds a user, or changes the password, which makes keytabs of the user stale.
func (k *KDC) AddUser(name, password string) error {
	n := krb5.ParseName(krb5.NTPrincipal, name)
	salt := n.Salt(k.Realm)
	return k.add(n, k.Realm, salt, func(etype int32) (krb5.Key, error) {
		return krb5.StringToKey(etype, password, salt, nil)
	})
}

// AddService adds a service such as "HTTP/localhost", with random keys, or makes new keys for it, so
// that keytabs that were written before are stale.
func (k *KDC) AddService(spn string) error {
	return k.add(krb5.ParseName(krb5.NTSrvInst, spn), k.Realm, "", krb5.NewKey)
}

func (k *KDC) add(name krb5.Name, realm, salt string, makeKey func(int32) (krb5.Key, error)) error {
	p := &principal{name: name, realm: realm, salt: salt, kvno: 1}
	for _, etype := range k.etypes() {
		key, err := makeKey(etype)
		if err != nil {
			return fmt.Errorf("adding %s@%s: %w", name, realm, err)
		}
		p.keys = append(p.keys, key)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if old := k.principals[full(name, realm)]; old != nil {
		p.kvno = old.kvno + 1
	}
	k.put(p)
	return nil
}

// put stores a principal; k.mu is held.
func (k *KDC) put(p *principal) {
	if k.principals == nil {
		k.principals = map[string]*principal{}
	}
	k.principals[full(p.name, p.realm)] = p
}

func full(name krb5.Name, realm string) string { return name.String() + "@" + realm }

// find returns a principal that has keys now, nil when there is none.
func (k *KDC) find(name krb5.Name, realm string) *principal {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.principals[full(name, realm)]
	if p == nil {
		return nil
	}
	usable := *p
	usable.keys = slices.DeleteFunc(slices.Clone(p.keys), func(key krb5.Key) bool {
		return slices.Contains(k.faults.RefuseEtypes, key.Etype)
	})
	return &usable
}

// Trust lets users of k get tickets for services of other (one-way trust: krbtgt/OTHER@K), and k
// refers to it for the hosts given.
func (k *KDC) Trust(other *KDC, hosts ...string) error {
	name := krb5.TGS(other.Realm)
	if err := k.add(name, k.Realm, "", krb5.NewKey); err != nil {
		return err
	}
	shared := k.find(name, k.Realm)
	other.mu.Lock()
	other.put(shared)
	other.mu.Unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.trusts == nil {
		k.trusts, k.referrals = map[string]*KDC{}, map[string]string{}
	}
	k.trusts[other.Realm] = other
	for _, host := range hosts {
		k.referrals[host] = other.Realm
	}
	return nil
}

// Keytab returns a keytab file with the keys of principals (users or services), of all of them when
// none is named.
func (k *KDC) Keytab(names ...string) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var kt krb5.Keytab
	for _, p := range k.principals {
		if p.realm != k.Realm || len(names) > 0 && !slices.Contains(names, p.name.String()) || p.name.Parts[0] == "krbtgt" {
			continue
		}
		for _, key := range p.keys {
			kt = append(kt, krb5.KeytabEntry{Name: p.name, Realm: p.realm, Time: time.Now(), KVNO: p.kvno, Key: key})
		}
	}
	if len(kt) == 0 {
		return nil, fmt.Errorf("no such principals in %s: %s", k.Realm, strings.Join(names, ", "))
	}
	return kt.Marshal()
}

// PreauthFailures is how often somebody showed a wrong password of a user: what a directory counts
// before it locks the account.
func (k *KDC) PreauthFailures(user string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.failures[user]
}

// Requests counts the requests so far by kind: "AS", "TGS".
func (k *KDC) Requests(kind string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.requests[kind]
}

// Addr is the host:port of the KDC, the same for TCP and UDP, after Start.
func (k *KDC) Addr() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.packets == nil {
		return ""
	}
	return k.packets.LocalAddr().String()
}

// Config is a krb5.conf that makes the realm the default and sends localhost's services to it. Realms
// that this KDC trusts are listed, too.
func (k *KDC) Config() string {
	var b strings.Builder
	fmt.Fprintf(&b, "[libdefaults]\n default_realm = %s\n dns_lookup_kdc = false\n dns_lookup_realm = false\n", k.Realm)
	fmt.Fprintf(&b, " dns_canonicalize_hostname = false\n rdns = false\n allow_weak_crypto = true\n[realms]\n")
	for _, each := range k.reachable() {
		fmt.Fprintf(&b, " %s = {\n  kdc = %s\n }\n", each.Realm, each.Addr())
	}
	fmt.Fprintf(&b, "[domain_realm]\n localhost = %s\n", k.Realm)
	return b.String()
}

// reachable is k and all KDCs that trusts lead to.
func (k *KDC) reachable() []*KDC {
	all := []*KDC{k}
	for i := 0; i < len(all); i++ {
		all[i].mu.Lock()
		for _, other := range all[i].trusts {
			if !slices.Contains(all, other) {
				all = append(all, other)
			}
		}
		all[i].mu.Unlock()
	}
	return all
}

var errStarted = errors.New("the KDC has been started already")
