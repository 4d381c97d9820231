package credentials

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
)

// A Secret is a string that prints as "***" everywhere; only a conversion shows it.
type Secret string

const stars = "***"

// String is "***", or "" for no secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return stars
}

// GoString is String.
func (s Secret) GoString() string { return s.String() }

// LogValue is String, for slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is String, for JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// maxSecret bounds a secret's file, so that a wrong path (a log, a device) is told at once.
const maxSecret = 4096

// ReadSecret reads a secret from the first line of a file; "-" is standard input.
func ReadSecret(path string) (Secret, error) {
	if path == "-" {
		return readSecret(os.Stdin, "standard input")
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err // names the path
	}
	defer f.Close()
	return readSecret(f, path)
}

func readSecret(r io.Reader, name string) (Secret, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxSecret+1))
	if err != nil {
		return "", fmt.Errorf("reading the secret in %s: %w", name, err)
	}
	line, rest, _ := strings.Cut(string(b), "\n")
	line = strings.TrimSuffix(line, "\r")
	switch {
	case len(b) > maxSecret || strings.TrimSpace(rest) != "":
		return "", fmt.Errorf("%s holds more than one line: want a secret on the first and nothing after it", name)
	case line == "":
		return "", fmt.Errorf("%s is empty: want a secret on its first line", name)
	}
	return Secret(line), nil
}
