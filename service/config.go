package service

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/turngate/turngate/turntcp"
)

// A ConfigError lists all that is wrong with a configuration, one problem each.
type ConfigError struct{ Problems []error }

func (e *ConfigError) Error() string { return errors.Join(e.Problems...).Error() }

// Unwrap returns the problems.
func (e *ConfigError) Unwrap() []error { return e.Problems }

// A Listener is an address to listen on, by TCP or TLS.
type Listener struct {
	Secure  bool
	Address string // host:port
}

func (l Listener) String() string { return l.transport() + "://" + l.Address }

func (l Listener) transport() string {
	if l.Secure {
		return "tls"
	}
	return "tcp"
}

// A Config is a checked configuration. Its files have been read once.
type Config struct {
	Listeners      []Listener
	Cert, Key      string // paths
	Realm          string
	Users          string // path, "" for none
	AuthSecretFile string // path, "" for none
	RelayIP        netip.Addr
	RelayPorts     turntcp.PortRange
	AllowPeers     []netip.Prefix
	MaxConnections int
	MaxQueueDelay  time.Duration
	DrainTimeout   time.Duration
	Audit          string // path, "-" for standard output, "" for none
	LogJSON        bool
	LogLevel       slog.Level

	// Warnings are what should be mended but keeps nothing from working.
	Warnings []string

	initial *material // what the files held
}

// Load gathers the settings and checks them, and the files they name. Its error is a *ConfigError.
// It leaves nothing behind: no file is created and no port kept.
func Load(s Sources) (*Config, error) {
	values, problems := s.gather()
	l := &loader{values: values, problems: problems}
	c := l.config()
	l.checkRelay(c)
	l.checkAudit(c)
	l.readMaterial(c)
	if len(l.problems) > 0 {
		return nil, &ConfigError{l.problems}
	}
	return c, nil
}

// A loader turns values into a Config and gathers what is wrong with them.
type loader struct {
	values   map[string][]value
	problems []error
}

func (l *loader) fail(v value, format string, args ...any) {
	l.problems = append(l.problems, fmt.Errorf("%s: %w", v.at, fmt.Errorf(format, args...)))
}

// missing reports a setting that must be given.
func (l *loader) missing(name, why string) {
	s := setting{name: name}
	l.problems = append(l.problems, fmt.Errorf("%s is not set%s: give --%s, %s, or %s in the configuration file",
		name, why, name, s.variable(), s.key()))
}

// one returns the value of a setting that is no list.
func (l *loader) one(name string) (v value, given bool) {
	list := l.values[name]
	if len(list) == 0 {
		return value{}, false
	}
	if list[0].text == "" {
		l.fail(list[0], "is empty")
		return value{}, false
	}
	return list[0], true
}

func (l *loader) text(name string) string {
	v, _ := l.one(name)
	return v.text
}

func (l *loader) config() *Config {
	c := &Config{
		Listeners: l.listeners(), Cert: l.text("cert"), Key: l.text("key"), Realm: l.realm(),
		Users: l.text("users"), AuthSecretFile: l.text("auth-secret-file"),
		RelayIP: l.relayIP(), RelayPorts: l.relayPorts(), AllowPeers: l.allowPeers(),
		MaxConnections: l.number("max-connections", 10000, 1, 1_000_000),
		MaxQueueDelay:  l.queueDelay(),
		DrainTimeout:   l.duration("drain-timeout", 30*time.Second, 24*time.Hour),
		Audit:          l.text("audit"),
	}
	c.LogJSON = l.choice("log-format", "text", "json") == "json"
	// The choices are the level's own names.
	_ = c.LogLevel.UnmarshalText([]byte(l.choice("log-level", "info", "debug", "warn", "error")))
	if len(l.values["users"])+len(l.values["auth-secret-file"]) == 0 {
		l.problems = append(l.problems, errors.New("nobody could allocate: give --users or --auth-secret-file"))
	}
	l.pairOfFiles(c)
	return c
}

// pairOfFiles wants certificate and key together, and both where there is a TLS listener.
func (l *loader) pairOfFiles(c *Config) {
	why := ""
	if slices.ContainsFunc(c.Listeners, func(l Listener) bool { return l.Secure }) {
		why = " and there is a tls:// listener"
	}
	if len(l.values["cert"]) == 0 && (why != "" || c.Key != "") {
		l.missing("cert", why)
	}
	if len(l.values["key"]) == 0 && (why != "" || c.Cert != "") {
		l.missing("key", why)
	}
}

func (l *loader) listeners() (all []Listener) {
	if len(l.values["listen"]) == 0 {
		l.missing("listen", "")
	}
	for _, v := range l.values["listen"] {
		listener, err := parseListener(v.text)
		switch {
		case err != nil:
			l.fail(v, "%w", err)
		case slices.ContainsFunc(all, func(o Listener) bool { return o.Address == listener.Address && !anyPort(o) }):
			l.fail(v, "%s is listened on already", listener.Address)
		default:
			all = append(all, listener)
		}
	}
	return all
}

func anyPort(l Listener) bool { return strings.HasSuffix(l.Address, ":0") }

func parseListener(text string) (Listener, error) {
	want := fmt.Errorf("%q: want tcp://HOST:PORT or tls://HOST:PORT", text)
	scheme, address, ok := strings.Cut(text, "://")
	if !ok || scheme != "tcp" && scheme != "tls" {
		return Listener{}, want
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || strings.ContainsAny(host, "/ @?") {
		return Listener{}, want
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return Listener{}, fmt.Errorf("%q: port %q is not a number up to 65535", text, port)
	}
	return Listener{Secure: scheme == "tls", Address: address}, nil
}

// maxRealm is of RFC 8489 section 14.9, in bytes.
const maxRealm = 763

func (l *loader) realm() string {
	v, given := l.one("realm")
	switch {
	case len(l.values["realm"]) == 0:
		l.missing("realm", "")
	case given && (len(v.text) > maxRealm || !printable(v.text) || strings.ContainsAny(v.text, `"\`)):
		l.fail(v, "want a name of at most %d bytes without quotation marks, backslashes and control characters", maxRealm)
	}
	return v.text
}

func (l *loader) relayIP() (ip netip.Addr) {
	v, given := l.one("relay-ip")
	if !given {
		if len(l.values["relay-ip"]) == 0 {
			l.missing("relay-ip", "")
		}
		return ip
	}
	ip, err := netip.ParseAddr(v.text)
	if ip = ip.Unmap(); err != nil || !ip.Is4() || ip.IsUnspecified() {
		l.fail(v, "%q: want the IPv4 address of this host that peers reach", v.text)
		return netip.Addr{}
	}
	return ip
}

func (l *loader) relayPorts() turntcp.PortRange {
	v, given := l.one("relay-ports")
	if !given {
		return turntcp.PortRange{Min: 49152, Max: 65535}
	}
	first, last, isRange := strings.Cut(v.text, "-")
	if !isRange {
		last = first
	}
	low, err1 := strconv.ParseUint(first, 10, 16)
	high, err2 := strconv.ParseUint(last, 10, 16)
	if err := errors.Join(err1, err2); err != nil || low == 0 || low > high {
		l.fail(v, "%q: want FIRST-LAST, ports from 1 to 65535, such as 49152-65535", v.text)
		return turntcp.PortRange{}
	}
	return turntcp.PortRange{Min: uint16(low), Max: uint16(high)}
}

func (l *loader) allowPeers() (all []netip.Prefix) {
	for _, v := range l.values["allow-peer"] {
		p, err := parsePrefix(v.text)
		if err != nil {
			l.fail(v, "%w", err)
			continue
		}
		all = append(all, p)
	}
	return all
}

// parsePrefix reads a CIDR, or an address, which stands for itself alone. What could mean more than
// was meant is refused.
func parsePrefix(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return p, fmt.Errorf("%q: want an address range such as 10.20.0.0/16, or an address", text)
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	switch {
	case p.Addr().Is4In6():
		return p, fmt.Errorf("%q: write it as an IPv4 range", text)
	case p != p.Masked():
		return p, fmt.Errorf("%q: the address has bits beyond /%d; did you mean %v or %v/%d?",
			text, p.Bits(), p.Masked(), p.Addr(), p.Addr().BitLen())
	}
	return p, nil
}

func (l *loader) number(name string, otherwise, low, high int) int {
	v, given := l.one(name)
	if !given {
		return otherwise
	}
	n, err := strconv.Atoi(v.text)
	if err != nil || n < low || n > high {
		l.fail(v, "%q: want a number from %d to %d", v.text, low, high)
	}
	return n
}

func (l *loader) duration(name string, otherwise, most time.Duration) time.Duration {
	v, given := l.one(name)
	if !given {
		return otherwise
	}
	d, err := time.ParseDuration(v.text)
	if err != nil || d < 0 || d > most {
		l.fail(v, "%q: want a time such as 30s or 5m, at most %v", v.text, most)
	}
	return d
}

// queueDelay is at least what a scheduler may take for itself; below, a healthy client would lose data.
func (l *loader) queueDelay() time.Duration {
	const name, least = "max-queue-delay", 10 * time.Millisecond
	d := l.duration(name, 200*time.Millisecond, 10*time.Second)
	if v, given := l.one(name); given && d >= 0 && d < least && len(l.problems) == 0 {
		l.fail(v, "%q: want at least %v", v.text, least)
	}
	return d
}

// choice returns one of the words; the first is the default.
func (l *loader) choice(name string, words ...string) string {
	v, given := l.one(name)
	if !given {
		return words[0]
	}
	if !slices.Contains(words, v.text) {
		l.fail(v, "%q: want one of %s%s", v.text, strings.Join(words, ", "), suggestion(v.text, words))
		return words[0]
	}
	return v.text
}
