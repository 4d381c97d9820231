package credentials

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxNetrc bounds a netrc file.
const maxNetrc = 1 << 20

// Netrc returns what a netrc file, as ftp and curl read it, holds for a host: of the first entry of
// that machine, or else of the entry default. No entry is no error: user and password are "".
func Netrc(path, host string) (user string, password Secret, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", "", err // names the path
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxNetrc+1))
	if err != nil {
		return "", "", err
	}
	if len(text) > maxNetrc {
		return "", "", fmt.Errorf("%s: more than %d bytes are no netrc file", path, maxNetrc)
	}
	entries, err := netrcEntries(string(text))
	if err != nil {
		return "", "", fmt.Errorf("%s: %w", path, err)
	}
	for _, e := range entries {
		if e.machine == "" || strings.EqualFold(e.machine, host) {
			return e.login, e.password, nil
		}
	}
	return "", "", nil
}

// A netrcEntry is one machine's; the machine of default is "".
type netrcEntry struct {
	machine, login string
	password       Secret
}

// netrcEntries reads the file; its errors name the line and hold no word of it but keywords.
func netrcEntries(text string) (entries []netrcEntry, err error) {
	words, err := netrcWords(text)
	if err != nil {
		return nil, err
	}
	for len(words) > 0 {
		keyword, line := words[0].text, words[0].line
		if words = words[1:]; keyword == "default" {
			entries = append(entries, netrcEntry{})
			continue
		}
		if len(words) == 0 {
			return nil, fmt.Errorf("line %d: a value is missing at the end", line)
		}
		value := words[0].text
		words = words[1:]
		last := len(entries) - 1
		switch {
		case keyword == "machine":
			entries = append(entries, netrcEntry{machine: value})
		case keyword != "login" && keyword != "password" && keyword != "account":
			return nil, fmt.Errorf("line %d: want machine, default, login, password, account or macdef", line)
		case last < 0:
			return nil, fmt.Errorf("line %d: %s stands before any machine", line, keyword)
		case keyword == "login":
			entries[last].login = value
		case keyword == "password":
			entries[last].password = Secret(value)
		}
	}
	return entries, nil
}

type netrcWord struct {
	text string
	line int
}

// netrcWords splits at white space. A # at the beginning of a line begins a comment; macdef lasts up to
// an empty line; "..." holds spaces, and \ before what it shall not end at.
func netrcWords(text string) (words []netrcWord, err error) {
	macro, n := false, 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" {
			macro = false
		}
		for line != "" && !macro && line[0] != '#' {
			var word string
			if word, line, err = netrcWordOf(line); err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
			if macro = word == "macdef" && isKeyword(words); !macro {
				words = append(words, netrcWord{word, n})
			}
			line = strings.TrimSpace(line)
		}
	}
	return words, nil
}

// isKeyword tells whether the word after these is a keyword and not a value.
func isKeyword(words []netrcWord) bool {
	pending := false
	for _, w := range words {
		pending = !pending && w.text != "default"
	}
	return !pending
}

func netrcWordOf(line string) (word, rest string, err error) {
	if line[0] != '"' {
		if i := strings.IndexAny(line, " \t"); i >= 0 {
			return line[:i], line[i:], nil
		}
		return line, "", nil
	}
	var b strings.Builder
	for i := 1; i < len(line); i++ {
		switch c := line[i]; {
		case c == '"':
			return b.String(), line[i+1:], nil
		case c == '\\' && i+1 < len(line):
			i++
			b.WriteByte(line[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", errors.New("a quotation mark is not closed")
}
