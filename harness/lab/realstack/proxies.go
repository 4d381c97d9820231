package realstack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
)

// AllSchemes is the Scheme of a proxy that offers Negotiate (Kerberos and NTLM), NTLM, Digest and
// Basic, in this order.
const AllSchemes = "all"

// A Proxy is one address of a running proxy. It accepts CONNECT from users of the Stack, to ports of
// 127.0.0.0/8 and localhost.
type Proxy struct {
	Name      string // "squid", "apache", "tinyproxy"
	Scheme    string // "Basic", "Digest", "NTLM", "Negotiate" or AllSchemes
	URL       string // http://ProxyHost:port or https://ProxyHost:port, without user
	AccessLog string // path of the proxy's own log, which other proxies of the Stack may share
	PID       int    // of its process; helpers are children of it
}

// TLS tells whether clients speak TLS to the proxy.
func (p Proxy) TLS() bool { return strings.HasPrefix(p.URL, "https:") }

// String is for instance "squid NTLM https://localhost:20001".
func (p Proxy) String() string { return p.Name + " " + p.Scheme + " " + p.URL }

// addProxies registers the http port and, if there is one, the https port of a service.
func (s *Stack) addProxies(service, name, scheme, log string, ports []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pid := 0
	for _, v := range s.services {
		if v.name == service {
			pid = v.cmd.Process.Pid
		}
	}
	for i, port := range ports {
		u := url.URL{Scheme: []string{"http", "https"}[i], Host: net.JoinHostPort(s.cfg.ProxyHost, strconv.Itoa(port))}
		s.proxies = append(s.proxies, Proxy{Name: name, Scheme: scheme, URL: u.String(), AccessLog: s.path("log", log), PID: pid})
	}
}

func sortedProxies(all []Proxy) []Proxy {
	nameOrder := []string{"squid", "apache", "tinyproxy"}
	schemeOrder := []string{"Basic", "Digest", "NTLM", "Negotiate", AllSchemes}
	return slices.SortedStableFunc(slices.Values(all), func(a, b Proxy) int {
		return cmp.Or(
			cmp.Compare(slices.Index(nameOrder, a.Name), slices.Index(nameOrder, b.Name)),
			cmp.Compare(slices.Index(schemeOrder, a.Scheme), slices.Index(schemeOrder, b.Scheme)),
			cmp.Compare(strings.Index(a.URL, ":"), strings.Index(b.URL, ":")),
		)
	})
}

// A Request is one line of an access log.
type Request struct {
	Status  int    // 200 for a tunnel, which is logged when it ends
	Verdict string // Squid's own word, such as TCP_TUNNEL or TCP_DENIED; "-" from Apache
	User    string // bare name, "" when the proxy knew none; on a 407 it is what the client claimed
	Account string // as the proxy names the user: alice, alice@LAB.TEST, PROXYSRV\alice
	Method  string // CONNECT
	Target  string // host:port
}

// Tunnel tells whether this is a tunnel that was granted.
func (r Request) Tunnel() bool {
	return r.Method == "CONNECT" && r.Status == 200 && (r.Verdict == "TCP_TUNNEL" || r.Verdict == "-")
}

// Requests returns what came to this proxy, oldest first. Squid and Apache log a tunnel when it ends.
// Rejected passwords under Basic and Digest are lines with Status 407 and a User. tinyproxy logs no
// users: its requests cannot be told apart, and asking for them is an error.
func (p Proxy) Requests() ([]Request, error) {
	if p.Name == "tinyproxy" {
		return nil, errors.New("tinyproxy logs neither users nor results")
	}
	content, err := os.ReadFile(p.AccessLog)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	u, err := url.Parse(p.URL)
	if err != nil {
		return nil, err
	}
	var requests []Request
	for line := range strings.Lines(string(content)) {
		if port, r, ok := parseLine(line); ok && port == u.Port() {
			requests = append(requests, r)
		}
	}
	return requests, nil
}

// AwaitTunnel waits until the proxy has logged the end of a tunnel of user to target, passing over
// the first seen requests (what Requests returned before, or 0). ctx is all that bounds it; the
// error says what was logged instead.
func (p Proxy) AwaitTunnel(ctx context.Context, seen int, user, target string) (Request, error) {
	for {
		requests, err := p.Requests()
		if err != nil {
			return Request{}, err
		}
		requests = requests[min(seen, len(requests)):]
		for _, r := range requests {
			if r.Tunnel() && r.User == user && r.Target == target {
				return r, nil
			}
		}
		if err := pause(ctx, poll); err != nil {
			return Request{}, fmt.Errorf("%v: no tunnel of %s to %s logged (%w); logged: %+v", p, user, target, err, requests)
		}
	}
}

// parseLine reads "time port verdict/status account method target [protocol]", the format that
// squid.conf and apache.conf set. It passes over what is still being written, and over requests so
// malformed that they have no method and target.
func parseLine(line string) (port string, r Request, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 6 || !strings.HasSuffix(line, "\n") {
		return "", r, false
	}
	verdict, status, _ := strings.Cut(fields[2], "/")
	code, err := strconv.Atoi(status)
	if err != nil {
		return "", r, false
	}
	r = Request{Status: code, Verdict: verdict, Method: fields[4], Target: fields[5]}
	if fields[3] != "-" {
		r.Account = strings.ReplaceAll(fields[3], `\\`, `\`)
		r.User = r.Account[strings.LastIndexByte(r.Account, '\\')+1:]
		r.User, _, _ = strings.Cut(r.User, "@")
	}
	return fields[1], r, true
}
