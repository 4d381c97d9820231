package service

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"
)

// printable tells text that can stand in a log line and a file of lines.
func printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// checkRelay opens a relay socket on any port of each address, because a relay address that is not this
// host's would show only when clients allocate.
func (l *loader) checkRelay() {
	for _, v := range l.values["relay-ip"] {
		a, err := parseRelayAddr(v.text)
		if err != nil {
			continue // told already
		}
		conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: a.Local.AsSlice()})
		if err != nil {
			l.fail(v, "is %v an address of this host? %w", a.Local, err)
			continue
		}
		conn.Close()
	}
}

// checkAudit looks whether the audit log could be written, without creating it.
func (l *loader) checkAudit(c *Config) {
	if c.Audit == "" || c.Audit == "-" {
		return
	}
	v, _ := l.one("audit")
	f, err := openAudit(c.Audit, 0)
	if err == nil {
		f.Close()
		return
	}
	if !os.IsNotExist(err) {
		l.fail(v, "%w", err)
		return
	}
	if info, err := os.Stat(filepath.Dir(c.Audit)); err != nil {
		l.fail(v, "%w", err)
	} else if !info.IsDir() {
		l.fail(v, "%s is no directory", filepath.Dir(c.Audit))
	}
}

// checkControl looks whether the control socket could be made, without making it or its directory.
func (l *loader) checkControl(c *Config) {
	if c.Control == "" {
		return
	}
	v, _ := l.one("control")
	dir := filepath.Dir(c.Control)
	if len(c.Control) > maxSocketPath {
		l.fail(v, "%q: a socket's path has at most %d bytes here", c.Control, maxSocketPath)
		return
	}
	switch _, err := os.Stat(dir); {
	case os.IsNotExist(err):
		if _, err := os.Stat(filepath.Dir(dir)); err != nil {
			l.fail(v, "%w", err)
		}
	default:
		if err := privateDirectory(dir); err != nil {
			l.fail(v, "%w", err)
		}
	}
}

// maxSocketPath in bytes is that of sockaddr_un, less the process's number, which is behind it for a moment.
const maxSocketPath = 107 - len(".4194304")

// otherFiles are open besides connections and relays: listeners, logs, the runtime's own.
const otherFiles = 64

// limitWarning says that the system allows fewer open files than the connections need, with a relay
// each; "" if it does not, or limit is 0 for none.
func limitWarning(limit uint64, connections int) string {
	need := 2*uint64(connections) + otherFiles
	if limit == 0 || limit >= need {
		return ""
	}
	return fmt.Sprintf("the process may open %d files, and %d connections with a relay each need %d (ulimit -n, LimitNOFILE=)",
		limit, connections, need)
}

// readMaterial reads the files for the first time.
func (l *loader) readMaterial(c *Config) {
	m, problems := readMaterial(c)
	for _, p := range problems {
		if v, ok := l.one(p.setting); ok {
			l.fail(v, "%w", p.err)
		} else {
			l.problems = append(l.problems, p.err)
		}
	}
	c.initial = m
	c.Warnings = m.warnings
	if w := limitWarning(openFiles(), c.TURN.MaxConnections); w != "" {
		c.Warnings = append(c.Warnings, w)
	}
}

// A materialProblem is one with a file that a setting names.
type materialProblem struct {
	setting string
	err     error
}

func (p materialProblem) Error() string { return fmt.Sprintf("%s: %v", p.setting, p.err) }
