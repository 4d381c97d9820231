package proxyconnect

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"strconv"
	"strings"
)

const (
	maxHead      = 128 << 10 // bytes of one response head; Squid's own limit is 64 KiB
	maxDrain     = 256 << 10 // bytes of a 407's body that are read to keep its connection
	maxInterim   = 8         // 1xx responses before the final one
	maxErrorText = 60        // bytes of a peer's text that enter an error
)

// response is the head of one HTTP response, and what follows from it for the connection.
type response struct {
	status    int
	reason    string
	header    http.Header
	keepAlive bool
}

// readResponse reads the head of the final response, past interim ones (RFC 9110 section 15.2).
func readResponse(br *bufio.Reader) (*response, error) {
	for range maxInterim {
		r, err := readHead(br)
		if err != nil || r.status >= 200 {
			return r, err
		}
	}
	return nil, errors.New("the proxy sends interim responses without end")
}

func readHead(br *bufio.Reader) (*response, error) {
	budget := maxHead
	line, err := readLine(br, &budget)
	if err != nil {
		return nil, err
	}
	r, minor, err := parseStatusLine(line)
	if err != nil {
		return nil, err
	}
	if r.header, err = readHeader(br, &budget); err != nil {
		return nil, err
	}
	r.keepAlive = keepAlive(minor, r.header)
	return r, nil
}

// readLine returns a line without its end. A lone LF ends a line too (RFC 9112 section 2.2).
func readLine(br *bufio.Reader, budget *int) (string, error) {
	var line []byte
	for {
		part, err := br.ReadSlice('\n')
		line = append(line, part...)
		if *budget -= len(part); *budget < 0 {
			return "", fmt.Errorf("the head of the proxy's answer is longer than %d bytes", maxHead)
		}
		if err == nil {
			return strings.TrimRight(string(line), "\r\n"), nil
		}
		if err != bufio.ErrBufferFull {
			if err == io.EOF && len(line) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return "", err
		}
	}
}

func parseStatusLine(line string) (r *response, minor byte, err error) {
	version, rest, _ := strings.Cut(line, " ")
	code, reason, _ := strings.Cut(strings.TrimLeft(rest, " "), " ")
	status, err := strconv.Atoi(code)
	if len(version) != 8 || version[:7] != "HTTP/1." || err != nil || len(code) != 3 || status < 100 {
		return nil, 0, notHTTP(line)
	}
	return &response{status: status, reason: clip(reason)}, version[7], nil
}

func notHTTP(line string) error {
	if len(line) > 1 && line[0] == 0x15 && line[1] == 3 {
		return errors.New("the proxy answers with a TLS alert: its URL should begin with https://")
	}
	return fmt.Errorf("the proxy's answer is not HTTP/1.x: it begins %q", clip(line))
}

// clip bounds what a peer can put into our errors.
func clip(s string) string {
	if len(s) > maxErrorText {
		s = s[:maxErrorText] + "..."
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
}

// readHeader is lenient where net/textproto is not: a line that is no field is passed over, because
// a proxy's garbled header must not hide its challenge.
func readHeader(br *bufio.Reader, budget *int) (http.Header, error) {
	header := make(http.Header)
	last := ""
	for {
		line, err := readLine(br, budget)
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil || line == "" {
			return header, err
		}
		if values := header[last]; isSpace(line[0]) && len(values) > 0 { // obs-fold
			values[len(values)-1] += " " + strings.TrimSpace(line)
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if last = ""; ok {
			last = textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name))
			header[last] = append(header[last], strings.TrimSpace(value))
		}
	}
}

// keepAlive follows RFC 9112 section 9.3; proxies also say it in Proxy-Connection.
func keepAlive(minor byte, h http.Header) bool {
	if hasToken(h, "close") {
		return false
	}
	return minor != '0' || hasToken(h, "keep-alive")
}

func hasToken(h http.Header, token string) bool {
	for _, name := range []string{"Connection", "Proxy-Connection"} {
		for _, v := range h[name] {
			for t := range strings.SplitSeq(v, ",") {
				if strings.EqualFold(strings.TrimSpace(t), token) {
					return true
				}
			}
		}
	}
	return false
}

// drain reads the body of a response that is no 2xx, so that the connection can carry the next leg.
// A body that is too long, or ends only with the connection, costs the connection instead.
func (r *response) drain(br *bufio.Reader) {
	if !r.keepAlive || r.status == http.StatusNoContent || r.status == http.StatusNotModified {
		return
	}
	var err error
	if te := r.header.Get("Transfer-Encoding"); te != "" {
		err = drainChunked(br, te)
	} else if cl := r.header.Get("Content-Length"); cl != "" {
		err = drainLength(br, cl)
	} else {
		err = errors.New("the body ends with the connection")
	}
	r.keepAlive = err == nil
}

func drainChunked(br *bufio.Reader, encoding string) error {
	if !strings.EqualFold(encoding, "chunked") {
		return errors.New("unknown transfer coding")
	}
	n, err := io.Copy(io.Discard, io.LimitReader(httputil.NewChunkedReader(br), maxDrain))
	if err != nil || n == maxDrain {
		return errors.Join(err, io.ErrShortBuffer)
	}
	budget := maxHead
	_, err = readHeader(br, &budget) // trailers, and the empty line
	return err
}

func drainLength(br *bufio.Reader, length string) error {
	n, err := strconv.ParseUint(length, 10, 63)
	if err != nil || n > maxDrain {
		return errors.New("too long to read")
	}
	_, err = io.CopyN(io.Discard, br, int64(n))
	return err
}

// isChallenge tells whether the response asks for credentials. 401 is what some proxies say
// (tinyproxy to a wrong password).
func (r *response) isChallenge() bool {
	return r.status == http.StatusProxyAuthRequired || r.status == http.StatusUnauthorized
}

// challenges are those of Proxy-Authenticate, or, with a 401, of WWW-Authenticate.
func (r *response) challenges() []Challenge {
	values := r.header["Proxy-Authenticate"]
	if len(values) == 0 && r.status == http.StatusUnauthorized {
		values = r.header["Www-Authenticate"]
	}
	return ParseChallenges(values)
}

// lastWord returns the server's final token for a scheme in a 2xx response.
func (r *response) lastWord(scheme string) string {
	for _, c := range ParseChallenges(r.header["Proxy-Authenticate"]) {
		if strings.EqualFold(c.Scheme, scheme) {
			return c.Rest
		}
	}
	return strings.Join(r.header["Proxy-Authentication-Info"], ", ")
}

func (r *response) trace() Response {
	return Response{Status: r.status, Reason: r.reason, Offered: schemes(r.challenges()), KeepAlive: r.keepAlive}
}

func schemes(challenges []Challenge) (names []string) {
	for _, c := range challenges {
		names = append(names, c.Scheme)
	}
	return names
}
