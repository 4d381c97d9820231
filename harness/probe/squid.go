package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// maxPage bounds a page of the cache manager, in bytes.
const maxPage = 1 << 20

// A Squid asks a Squid's cache manager (3.x and later, by /squid-internal-mgr/):
//
//	squid.cpu_cores                      CPU time per second, of all workers
//	squid.requests_per_s                 requests of clients; a tunnel counts when it ends
//	squid.server_requests_per_s          towards servers
//	squid.client_mbps_in, _out           bytes of clients, tunnels included while they last
//	squid.server_mbps_in, _out           bytes of servers
//	squid.errors_per_s, squid.page_faults_per_s
//	squid.fds_in_use, squid.fd_limit     descriptors; a tunnel takes two
//	squid.fds_reserved                   of the limit; with no more than these left it accepts nobody
//	squid.max_rss_bytes                  the most memory that it had
//	squid.SCHEME.active, .limit          helper processes of basic, digest, ntlm, negotiate
//	squid.SCHEME.busy, .queue            helpers that have a request or are reserved, requests that wait
//	squid.SCHEME.service_ms              time that a helper takes, on average
//	squid.SCHEME.requests_per_s
//	squid.helper_queue                   requests that wait, of all schemes
type Squid struct {
	base     string
	password string
	client   *http.Client
	schemes  []string // with a helper page; nil: not yet asked
	rates    rates
}

// NewSquid takes the URL of the proxy, http://host:port. The password is that of cachemgr_passwd; most
// have none.
func NewSquid(proxy, password string) (*Squid, error) {
	u, err := url.Parse(proxy)
	switch {
	case err != nil:
		return nil, errors.New("that is no URL") // and is not shown, since it may hold a password
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil:
		return nil, errors.New("want http://host:port of the Squid, without a user")
	}
	return &Squid{base: u.Scheme + "://" + u.Host + "/squid-internal-mgr/", password: password, client: plainClient()}, nil
}

// plainClient connects directly, whatever proxy the environment names.
func plainClient() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConns: 1, IdleConnTimeout: 30 * time.Second},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// String names the proxy.
func (s *Squid) String() string { return "Squid's cache manager at " + s.base }

// GoString is String; it keeps the password out of logs.
func (s *Squid) GoString() string { return s.String() }

// Close closes the connection.
func (s *Squid) Close() { s.client.CloseIdleConnections() }

// Sample asks for all pages. What it returns with an error is what came before that.
func (s *Squid) Sample(ctx context.Context) (map[string]float64, error) {
	values, growing := make(map[string]float64), make(map[string]float64)
	if s.schemes == nil {
		menu, err := s.page(ctx, "menu")
		if err != nil {
			return nil, err
		}
		s.schemes = helperPages(menu)
	}
	counters, err := s.page(ctx, "counters")
	if err != nil {
		return nil, err
	}
	parseCounters(counters, growing)
	info, err := s.page(ctx, "info")
	if err != nil {
		return nil, err
	}
	parseInfo(info, values)
	for _, scheme := range s.schemes {
		text, err := s.page(ctx, scheme+"authenticator")
		if err != nil {
			return values, err
		}
		parseHelpers(text, "squid."+scheme, values, growing)
		values["squid.helper_queue"] += values["squid."+scheme+".queue"]
	}
	for name, rate := range s.rates.next(time.Now(), growing) {
		values[name] = rate
	}
	return values, nil
}

func (s *Squid) page(ctx context.Context, name string) (string, error) {
	fail := func(format string, args ...any) (string, error) {
		return "", fmt.Errorf("%v, page %s: %w", s, name, fmt.Errorf(format, args...))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+name, nil)
	if err != nil {
		return fail("%w", err)
	}
	if s.password != "" {
		req.SetBasicAuth("turngate", s.password)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return fail("%w", errors.Unwrap(err)) // without the URL once more
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxPage))
	switch {
	case err != nil:
		return fail("%w", err)
	case resp.StatusCode == http.StatusUnauthorized:
		return fail("it wants another password (cachemgr_passwd in squid.conf)")
	case resp.StatusCode == http.StatusForbidden:
		return fail("it refuses this host; squid.conf needs a line like \"http_access allow localhost manager\" with an ACL that matches us")
	case resp.StatusCode != http.StatusOK:
		return fail("the answer is %s; is that a Squid?", resp.Status)
	}
	return string(text), nil
}

// helperPages are the schemes whose helpers the menu offers to look at.
func helperPages(menu string) []string {
	schemes := []string{}
	for line := range strings.Lines(menu) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if scheme, ok := strings.CutSuffix(fields[0], "authenticator"); ok && slices.Contains([]string{"basic", "digest", "ntlm", "negotiate"}, scheme) {
			schemes = append(schemes, scheme)
		}
	}
	return schemes
}
