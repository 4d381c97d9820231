package proxyconnect

import "strings"

// A Challenge is one element of a Proxy-Authenticate field (RFC 9110 section 11.3).
type Challenge struct {
	Scheme string // auth-scheme as sent
	Rest   string // what follows it as sent: a token68, a list of auth-params, or ""
}

// ParseChallenges splits the values of Proxy-Authenticate fields into challenges: several fields,
// several challenges in one field, token68 or auth-params, quoted strings with commas. What does
// not fit the grammar is skipped, for a proxy's small sins must not hide the schemes beside them.
func ParseChallenges(values []string) (challenges []Challenge) {
	for _, v := range values {
		s := scanner{text: v}
		for s.skipSeparators(); !s.done(); s.skipSeparators() {
			if c, ok := s.challenge(); ok {
				challenges = append(challenges, c)
			} else {
				s.skipElement()
			}
		}
	}
	return challenges
}

// Params returns the auth-params of the challenge, names in lower case, quoted strings unquoted.
// Of a name that comes twice the first counts.
func (c Challenge) Params() map[string]string {
	params := make(map[string]string)
	s := scanner{text: c.Rest}
	for s.skipSeparators(); !s.done(); s.skipSeparators() {
		name, value, ok := s.param()
		if !ok {
			s.skipElement()
			continue
		}
		if name = strings.ToLower(name); params[name] == "" {
			params[name] = value
		}
	}
	return params
}

// scanner reads the grammar of RFC 9110 section 11 from left to right; every method that returns
// false has not moved, except skipElement, which always moves.
type scanner struct {
	text string
	pos  int
}

func (s *scanner) done() bool { return s.pos >= len(s.text) }

func (s *scanner) peek() byte {
	if s.done() {
		return 0
	}
	return s.text[s.pos]
}

// run moves over the characters that f accepts and returns them.
func (s *scanner) run(f func(byte) bool) string {
	start := s.pos
	for !s.done() && f(s.text[s.pos]) {
		s.pos++
	}
	return s.text[start:s.pos]
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

func (s *scanner) skipSpace() { s.run(isSpace) }

func (s *scanner) skipSeparators() {
	s.run(func(c byte) bool { return isSpace(c) || c == ',' })
}

// skipElement moves past the next comma that stands outside a quoted string.
func (s *scanner) skipElement() {
	for !s.done() {
		switch s.peek() {
		case ',':
			s.pos++
			return
		case '"':
			if _, ok := s.quoted(); !ok {
				s.pos = len(s.text)
			}
		default:
			s.pos++
		}
	}
}

func (s *scanner) challenge() (Challenge, bool) {
	start := s.pos
	scheme := s.run(isTokenChar)
	if scheme == "" || !(s.done() || isSpace(s.peek()) || s.peek() == ',') {
		s.pos = start
		return Challenge{}, false
	}
	s.skipSpace()
	rest := s.pos
	if s.token68() {
		return Challenge{scheme, s.text[rest:s.pos]}, true
	}
	end := rest
	for {
		if _, _, ok := s.param(); !ok {
			s.pos = max(end, rest)
			return Challenge{scheme, strings.TrimSpace(s.text[rest:end])}, true
		}
		end = s.pos
		s.skipSeparators()
	}
}

// token68 moves over a token68 that is the whole rest of its challenge.
func (s *scanner) token68() bool {
	start := s.pos
	if s.run(isToken68Char) == "" {
		return false
	}
	s.run(func(c byte) bool { return c == '=' })
	end := s.pos
	s.skipSpace()
	if !s.done() && s.peek() != ',' {
		s.pos = start
		return false
	}
	s.pos = end
	return true
}

// param reads token BWS "=" BWS ( token / quoted-string ).
func (s *scanner) param() (name, value string, ok bool) {
	start := s.pos
	name = s.run(isTokenChar)
	s.skipSpace()
	if name == "" || s.peek() != '=' {
		s.pos = start
		return "", "", false
	}
	s.pos++
	s.skipSpace()
	if s.peek() != '"' {
		return name, s.run(func(c byte) bool { return !isSpace(c) && c != ',' }), true
	}
	if value, ok = s.quoted(); !ok {
		s.pos = start
	}
	return name, value, ok
}

// quoted reads a quoted-string (RFC 9110 section 5.6.4) and returns its content.
func (s *scanner) quoted() (string, bool) {
	start := s.pos
	var b strings.Builder
	for s.pos++; !s.done(); s.pos++ {
		switch c := s.peek(); c {
		case '"':
			s.pos++
			return b.String(), true
		case '\\':
			if s.pos++; !s.done() {
				b.WriteByte(s.peek())
			}
		default:
			b.WriteByte(c)
		}
	}
	s.pos = start
	return "", false
}

func isTokenChar(c byte) bool {
	return isAlphaNum(c) || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

func isToken68Char(c byte) bool {
	return isAlphaNum(c) || strings.IndexByte("-._~+/", c) >= 0
}

func isAlphaNum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
