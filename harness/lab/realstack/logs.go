package realstack

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// tailBytes is how much of each log Logs shows.
const tailBytes = 4 << 10

// Logs writes the end of every log of every part, for a report of what went wrong.
func (s *Stack) Logs(w io.Writer) {
	logs, _ := filepath.Glob(s.path("log", "*")) // the pattern is ours: no error
	for _, log := range logs {
		if content, err := os.ReadFile(log); err == nil && len(content) > 0 { // Samba also keeps a directory there
			fmt.Fprintf(w, "== %s\n%s\n", filepath.Base(log), tail(content, tailBytes))
		}
	}
}

// tail returns the last lines of a log, at most n bytes.
func tail(log []byte, n int) string {
	text := strings.TrimSpace(strings.ToValidUTF8(string(log), "?"))
	if len(text) <= n {
		return text
	}
	text = text[len(text)-n:]
	if _, rest, found := strings.Cut(text, "\n"); found {
		text = rest
	}
	return "... " + text
}
