package testproxy

import (
	"errors"
	"fmt"
	"strings"
)

// parseParams reads a list of auth-params (RFC 9110 sections 5.6.1 and 11.2): names in lower case,
// values unquoted; empty list elements are allowed, a name twice is not. Errors quote nothing, not
// even names: what stands where a name is due may be the token of another scheme.
func parseParams(s string) (map[string]string, error) {
	params := make(map[string]string)
	for {
		s = strings.TrimLeft(s, " \t,")
		if s == "" {
			return params, nil
		}
		name, value, rest, err := cutParam(s)
		if err != nil {
			return nil, fmt.Errorf("auth-param %d: %w", len(params)+1, err)
		}
		if _, twice := params[name]; twice {
			return nil, fmt.Errorf("auth-param %d: its name comes twice", len(params)+1)
		}
		params[name] = value
		s = strings.TrimLeft(rest, " \t")
		if s != "" && s[0] != ',' {
			return nil, fmt.Errorf("auth-param %d: no comma after it", len(params))
		}
	}
}

func cutParam(s string) (name, value, rest string, err error) {
	n := tokenLen(s)
	if n == 0 {
		return "", "", "", errors.New("no name")
	}
	name = strings.ToLower(s[:n])
	s = strings.TrimLeft(s[n:], " \t")
	if !strings.HasPrefix(s, "=") {
		return "", "", "", errors.New("no value")
	}
	s = strings.TrimLeft(s[1:], " \t")
	if strings.HasPrefix(s, `"`) {
		value, rest, err = cutQuoted(s)
		return name, value, rest, err
	}
	if n = tokenLen(s); n == 0 {
		return "", "", "", errors.New("no value")
	}
	return name, s[:n], s[n:], nil
}

func cutQuoted(s string) (value, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], nil
		case '\\':
			if i++; i == len(s) {
				return "", "", errors.New("quoted-string does not end")
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", errors.New("quoted-string does not end")
}

func tokenLen(s string) (n int) {
	for n < len(s) && isTokenByte(s[n]) {
		n++
	}
	return n
}
