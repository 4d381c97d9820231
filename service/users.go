package service

import (
	"crypto/md5" // of TURN's long-term keys
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
)

// maxUser is the longest USERNAME of RFC 8489 section 14.3, in bytes.
const maxUser = 508

// parseUsers reads lines of name:password or name:0xKEY. The name ends at the first colon; everything
// behind it is the password, spaces too. Empty lines, and lines that begin with #, are skipped. Errors name file,
// line and column, and never what stands there.
func parseUsers(path string, text []byte) (map[string]string, []error) {
	users, lines := make(map[string]string), make(map[string]int)
	var problems []error
	for at, line := range dataLines(text) {
		name, password, colon := strings.Cut(line, ":")
		column, what := userProblem(name, password, colon)
		if first, again := lines[name]; what == "" && again {
			column, what = 1, fmt.Sprintf("the same name as in line %d", first)
		}
		if what != "" {
			problems = append(problems, fmt.Errorf("%s:%d:%d: %s", path, at, column, what))
			continue
		}
		users[name], lines[name] = password, at
	}
	if len(users) == 0 && problems == nil {
		problems = append(problems, fmt.Errorf("%s: no users: want lines of name:password", path))
	}
	return users, problems
}

func userProblem(name, password string, colon bool) (column int, what string) {
	behind := len(name) + 2
	switch {
	case !colon:
		return 1, "want name:password"
	case name == "":
		return 1, "no name before the colon"
	case len(name) > maxUser:
		return 1, fmt.Sprintf("a name of more than %d bytes", maxUser)
	case !printable(name) || strings.TrimFunc(name, unicode.IsSpace) != name:
		return 1, "a name with control characters, spaces around it, or not in UTF-8"
	case password == "":
		return behind, "no password behind the colon"
	case strings.HasPrefix(password, "0x") && parseKey(password) == nil:
		return behind, "want 0x and the 32 hexadecimal digits of a key; no password may begin with 0x"
	case !printable(password):
		return behind, "a password with control characters, or not in UTF-8"
	}
	return 0, ""
}

// parseKey reads a key as coturn's turnadmin -k writes it, 0x and MD5(name:realm:password) in
// hexadecimal digits; nil if it is none.
func parseKey(text string) []byte {
	digits, ok := strings.CutPrefix(text, "0x")
	key, err := hex.DecodeString(digits)
	if !ok || err != nil || len(key) != md5.Size {
		return nil
	}
	return key
}

// splitUsers tells the users with a password from those with a key.
func splitUsers(users map[string]string) (passwords map[string]string, keys map[string][]byte) {
	passwords, keys = make(map[string]string), make(map[string][]byte)
	for name, text := range users {
		if key := parseKey(text); key != nil {
			keys[name] = key
		} else {
			passwords[name] = text
		}
	}
	return passwords, keys
}

// parseSecrets reads one secret per line, the newest first. Empty lines, and lines that begin with #,
// are skipped.
func parseSecrets(path string, text []byte) (secrets []string, problems []error) {
	lines := make(map[string]int)
	for at, line := range dataLines(text) {
		first, again := lines[line]
		switch {
		case !printable(line):
			problems = append(problems, fmt.Errorf("%s:%d:1: a secret with control characters, or not in UTF-8", path, at))
		case strings.TrimSpace(line) != line:
			problems = append(problems, fmt.Errorf("%s:%d:1: spaces around the secret", path, at))
		case again:
			problems = append(problems, fmt.Errorf("%s:%d:1: the same secret as in line %d", path, at, first))
		case len(secrets) == maxSecrets:
			return secrets, append(problems, fmt.Errorf("%s:%d:1: more than %d secrets", path, at, maxSecrets))
		default:
			secrets, lines[line] = append(secrets, line), at
		}
	}
	if len(secrets) == 0 && problems == nil {
		problems = append(problems, fmt.Errorf("%s: no secrets: want one per line", path))
	}
	return secrets, problems
}

// maxSecrets bounds the work for one request: every secret is tried.
const maxSecrets = 16

// dataLines yields the numbers, from 1, and texts of the lines that are neither empty nor comments.
func dataLines(text []byte) func(yield func(int, string) bool) {
	return func(yield func(int, string) bool) {
		at := 0
		for line := range strings.Lines(string(text)) {
			at++
			line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
			if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
				continue
			}
			if !yield(at, line) {
				return
			}
		}
	}
}
