package probe

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gosnmp/gosnmp"
)

// SquidOIDs are those of Squid's MIB (enterprise 3495) with our names for them. A name that ends with
// _per_s is a counter. Its CPU time is in seconds, its traffic in kilobytes.
func SquidOIDs() map[string]string {
	const perf, proto = ".1.3.6.1.4.1.3495.1.3.1.", ".1.3.6.1.4.1.3495.1.3.2.1."
	return map[string]string{
		"cpu_seconds_per_s": perf + "4.0", "max_rss_kb": perf + "6.0", "fds_unused": perf + "10.0", "fds_in_use": perf + "12.0",
		"requests_per_s": proto + "1.0", "client_kb_in_per_s": proto + "4.0", "client_kb_out_per_s": proto + "5.0",
		"server_requests_per_s": proto + "10.0", "server_kb_in_per_s": proto + "12.0", "server_kb_out_per_s": proto + "13.0",
		"clients": proto + "15.0",
	}
}

// An SNMP asks an agent (version 2c) for the values of OIDs: "snmp.NAME".
type SNMP struct {
	agent string
	oids  map[string]string // by name
	conn  *gosnmp.GoSNMP    // nil until the first sample, and after an error
	auth  string
	rates rates
}

// NewSNMP takes the agent's host:port, its community, which is a secret, and the OIDs by name.
func NewSNMP(agent, community string, oids map[string]string) (*SNMP, error) {
	if _, _, err := net.SplitHostPort(agent); err != nil {
		agent = net.JoinHostPort(agent, "161")
	}
	if len(oids) == 0 || len(oids) > 60 {
		return nil, fmt.Errorf("%d OIDs: want 1 to 60", len(oids))
	}
	dotted := make(map[string]string)
	for name, oid := range oids {
		if name == "" || !isOID(oid) {
			return nil, fmt.Errorf("%s=%s: want a name and an OID like .1.3.6.1.2.1.1.3.0", name, oid)
		}
		dotted[name] = "." + strings.TrimPrefix(oid, ".")
	}
	return &SNMP{agent: agent, auth: community, oids: dotted}, nil
}

func isOID(text string) bool {
	parts := strings.Split(strings.TrimPrefix(text, "."), ".")
	return len(parts) > 1 && len(parts) < 128 && !slices.ContainsFunc(parts, func(p string) bool {
		_, err := strconv.ParseUint(p, 10, 32)
		return err != nil
	})
}

// String names the agent.
func (s *SNMP) String() string { return "SNMP agent " + s.agent }

// GoString is String; it keeps the community out of logs.
func (s *SNMP) GoString() string { return s.String() }

// Close closes the socket.
func (s *SNMP) Close() {
	if s.conn != nil {
		s.conn.Conn.Close()
		s.conn = nil
	}
}

// Sample asks once; there is no second try before the next sample.
func (s *SNMP) Sample(ctx context.Context) (map[string]float64, error) {
	if s.conn == nil {
		if err := s.connect(); err != nil {
			return nil, fmt.Errorf("%v: %w", s, err)
		}
	}
	if deadline, ok := ctx.Deadline(); ok {
		s.conn.Timeout = max(10*time.Millisecond, time.Until(deadline)*9/10)
	}
	s.conn.Context = ctx
	answer, err := s.conn.Get(slices.Sorted(maps.Values(s.oids)))
	if err == nil && answer.Error != gosnmp.NoError {
		err = errors.New(answer.Error.String())
	}
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("%v does not answer (a wrong community has no answer either): %w", s, err)
	}
	return s.values(answer.Variables)
}

func (s *SNMP) connect() error {
	host, service, err := net.SplitHostPort(s.agent)
	if err != nil {
		return err
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return fmt.Errorf("port %q: want a number", service)
	}
	conn := &gosnmp.GoSNMP{Target: host, Port: uint16(port), Transport: "udp", Community: s.auth, Version: gosnmp.Version2c, Timeout: time.Second, MaxOids: len(s.oids)}
	if err := conn.Connect(); err != nil {
		return err
	}
	s.conn = conn
	return nil
}

// values takes the numbers of an answer.
func (s *SNMP) values(list []gosnmp.SnmpPDU) (map[string]float64, error) {
	values, growing := make(map[string]float64), make(map[string]float64)
	byOID := make(map[string]gosnmp.SnmpPDU)
	for _, v := range list {
		byOID[v.Name] = v
	}
	var missing []string
	for _, name := range slices.Sorted(maps.Keys(s.oids)) {
		v, ok := number(byOID[s.oids[name]])
		switch {
		case !ok:
			missing = append(missing, name)
		case strings.HasSuffix(name, "_per_s"):
			growing["snmp."+name] = v
		default:
			values["snmp."+name] = v
		}
	}
	for name, rate := range s.rates.next(time.Now(), growing) {
		values[name] = rate
	}
	if len(missing) > 0 {
		return values, fmt.Errorf("%v has no number for %s", s, strings.Join(missing, ", "))
	}
	return values, nil
}

func number(v gosnmp.SnmpPDU) (float64, bool) {
	switch v.Type {
	case gosnmp.Integer, gosnmp.Counter32, gosnmp.Gauge32, gosnmp.TimeTicks, gosnmp.Counter64, gosnmp.Uinteger32:
		f, _ := gosnmp.ToBigInt(v.Value).Float64()
		return f, true
	}
	return 0, false
}
