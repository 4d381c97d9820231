package service

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
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

// A Listener is an address to listen on, by TCP, by TLS, or by whatever a client begins with.
type Listener struct {
	Secure  bool // has a certificate: tls:// and auto://
	Auto    bool
	Address string // host:port
}

func (l Listener) String() string { return l.transport() + "://" + l.Address }

func (l Listener) transport() string {
	switch {
	case l.Auto:
		return "auto"
	case l.Secure:
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

	// TURN is what the server itself is told. Its credentials, certificate, logger and hooks are put in
	// by Serve.
	TURN turntcp.Config

	DrainTimeout time.Duration
	Audit        string // path, "-" for standard output, "" for none
	AuditStrict  bool   // no new allocation while records are lost
	Control      string // path of the control socket, "" for none
	Metrics      string // host:port of the metrics, "" for none
	LogJSON      bool
	LogLevel     slog.Level

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
	l.checkRelay()
	l.checkAudit(c)
	l.checkControl(c)
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
		TURN:         l.turn(),
		DrainTimeout: l.duration("drain-timeout", 30*time.Second, 0, 24*time.Hour),
		Audit:        l.text("audit"), Control: l.text("control"), Metrics: l.metrics(),
	}
	c.TURN.Realm = c.Realm
	if c.AuditStrict = l.truth("audit-strict"); c.AuditStrict && c.Audit == "" {
		l.missing("audit", " and audit-strict wants one")
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

// metrics is an address to listen on.
func (l *loader) metrics() string {
	v, given := l.one("metrics")
	if !given {
		return ""
	}
	if _, port, err := net.SplitHostPort(v.text); err != nil || port == "" {
		l.fail(v, "%q: want HOST:PORT", v.text)
	}
	return v.text
}

// pairOfFiles wants certificate and key together, and both where there is a TLS listener.
func (l *loader) pairOfFiles(c *Config) {
	why := ""
	if slices.ContainsFunc(c.Listeners, func(l Listener) bool { return l.Secure }) {
		why = " and there is a tls:// or auto:// listener"
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
	want := fmt.Errorf("%q: want tcp://HOST:PORT, tls://HOST:PORT or auto://HOST:PORT", text)
	scheme, address, ok := strings.Cut(text, "://")
	if !ok || scheme != "tcp" && scheme != "tls" && scheme != "auto" {
		return Listener{}, want
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || strings.ContainsAny(host, "/ @?") {
		return Listener{}, want
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return Listener{}, fmt.Errorf("%q: port %q is not a number up to 65535", text, port)
	}
	return Listener{Secure: scheme != "tcp", Auto: scheme == "auto", Address: address}, nil
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
