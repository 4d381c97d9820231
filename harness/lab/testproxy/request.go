package testproxy

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
)

// A request is the head of an HTTP/1.x request.
type request struct {
	method, target string
	minor          int // of HTTP/1.minor
	header         http.Header
}

// A badRequest is a request that is answered with an error and the end of the connection.
type badRequest struct {
	status int
	squid  string // Squid's name of the error page
	text   string
}

func (e *badRequest) Error() string { return e.text }

func malformed(format string, args ...any) error {
	return &badRequest{http.StatusBadRequest, "ERR_INVALID_REQ", fmt.Sprintf(format, args...)}
}

// readHead reads up to and including the empty line, at most limit bytes; what follows stays in br.
// Empty lines before the request are skipped (RFC 9112 section 2.2). The error is a *badRequest
// where an answer is due.
func readHead(br *bufio.Reader, limit int) ([]byte, error) {
	var head []byte
	lineStart := 0
	for skipped := 0; ; {
		part, err := br.ReadSlice('\n')
		if len(head)+len(part) > limit || skipped > limit {
			return nil, &badRequest{http.StatusRequestHeaderFieldsTooLarge, "ERR_TOO_BIG", fmt.Sprintf("the request's head is longer than %d bytes", limit)}
		}
		head = append(head, part...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return nil, err
		}
		line := bytes.TrimRight(head[lineStart:], "\r\n")
		lineStart = len(head)
		if len(line) > 0 {
			continue
		}
		if len(bytes.TrimRight(head, "\r\n")) > 0 {
			return head, nil
		}
		skipped += len(head)
		head, lineStart = head[:0], 0
	}
}

// parseRequest reads a head as RFC 9112 sections 3 and 5 have it; line folding is refused. Its
// errors are *badRequest.
func parseRequest(head []byte) (*request, error) {
	lines := strings.Split(strings.TrimRight(string(head), "\r\n"), "\n")
	req := &request{header: make(http.Header)}
	if err := req.parseLine(strings.TrimSuffix(lines[0], "\r")); err != nil {
		return nil, err
	}
	for _, line := range lines[1:] {
		if err := req.parseField(strings.TrimSuffix(line, "\r")); err != nil {
			return nil, err
		}
	}
	return req, req.check()
}

func (r *request) parseLine(line string) error {
	parts := strings.Split(line, " ")
	if len(parts) != 3 || !isToken(parts[0]) || parts[1] == "" || !isVisible(parts[1]) {
		return &badRequest{http.StatusBadRequest, "ERR_PROTOCOL_UNKNOWN", "the request line is not METHOD TARGET VERSION"}
	}
	r.method, r.target = parts[0], parts[1]
	switch parts[2] {
	case "HTTP/1.0":
	case "HTTP/1.1":
		r.minor = 1
	default:
		return &badRequest{http.StatusHTTPVersionNotSupported, "ERR_UNSUP_HTTPVERSION", "this proxy speaks HTTP/1.0 and HTTP/1.1"}
	}
	return nil
}

func (r *request) parseField(line string) error {
	name, value, found := strings.Cut(line, ":")
	value = strings.Trim(value, " \t")
	if !found || !isToken(name) {
		return malformed("a header line is not NAME: VALUE")
	}
	for i := range len(value) {
		if b := value[i]; b < ' ' && b != '\t' || b == 0x7f {
			return malformed("a control character in the value of %s", name)
		}
	}
	r.header.Add(name, value)
	return nil
}

func (r *request) check() error {
	if n := len(r.header.Values("Host")); n > 1 || n == 0 && r.minor > 0 {
		return malformed("%d Host fields where HTTP/1.1 demands one", n)
	}
	if n := len(r.header.Values("Proxy-Authorization")); n > 1 {
		return malformed("%d Proxy-Authorization fields", n)
	}
	if r.method == http.MethodConnect && r.hasBody() {
		return malformed("a CONNECT request with content")
	}
	return nil
}

func (r *request) hasBody() bool {
	for _, length := range r.header.Values("Content-Length") {
		if n, err := strconv.ParseUint(length, 10, 63); err != nil || n != 0 {
			return true
		}
	}
	return len(r.header.Values("Transfer-Encoding")) > 0
}

// keepAlive tells whether the client wants the connection to stay open: HTTP/1.1 unless it says
// close, HTTP/1.0 only if it says keep-alive. Proxy-Connection counts like Connection, as in Squid.
func (r *request) keepAlive() bool {
	keep := r.minor > 0
	for _, name := range []string{"Connection", "Proxy-Connection"} {
		for _, value := range r.header.Values(name) {
			for option := range strings.SplitSeq(value, ",") {
				switch strings.ToLower(strings.Trim(option, " \t")) {
				case "close":
					return false
				case "keep-alive":
					keep = true
				}
			}
		}
	}
	return keep
}

// parseTarget splits the request-target of CONNECT, host:port with IPv6 literals in brackets (RFC
// 9110 section 9.3.6).
func parseTarget(target string) (host string, port int, err error) {
	host, service, err := net.SplitHostPort(target)
	if err != nil || host == "" {
		return "", 0, fmt.Errorf("the target %q is not host:port (IPv6 addresses need brackets)", target)
	}
	if strings.Contains(host, ":") != strings.HasPrefix(target, "[") || strings.ContainsAny(host, "/?#@\\\"<>") {
		return "", 0, fmt.Errorf("the target %q does not name a host", target)
	}
	n, err := strconv.ParseUint(service, 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("the target %q has no port between 1 and 65535", target)
	}
	return host, int(n), nil
}

// isToken is RFC 9110 section 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		if !isTokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}

func isTokenByte(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || strings.IndexByte("!#$%&'*+-.^_`|~", b) >= 0
}

func isVisible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f {
			return false
		}
	}
	return true
}
