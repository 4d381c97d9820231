package kerberos

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/turngate/turngate/kerberos/internal/krb5"
)

// A krb5Conf is what is used of krb5.conf (man 5 krb5.conf). Where a relation is given twice the
// first one holds, as in MIT's library; lists add up.
type krb5Conf struct {
	defaultRealm  string
	defaultCCache string
	udpLimit      int  // udp_preference_limit: longer requests go over TCP first
	lookupKDC     bool // dns_lookup_kdc: SRV records for realms without a kdc
	etypes        []int32
	tktEtypes     []int32 // of AS requests; nil: etypes
	tgsEtypes     []int32
	kdcs          map[string][]string // by realm
	domains       map[string]string   // domain_realm, lower case
	seen          map[string]bool     // scalars that are set
}

func newKrb5Conf() *krb5Conf {
	return &krb5Conf{
		udpLimit:  1465,
		lookupKDC: true,
		etypes:    krb5.Etypes(),
		kdcs:      map[string][]string{},
		domains:   map[string]string{},
		seen:      map[string]bool{},
	}
}

// loadKrb5Conf reads the configuration: text itself when it has several lines, the named file, or
// the files of $KRB5_CONFIG, or /etc/krb5.conf, which may be absent.
func loadKrb5Conf(config string) (*krb5Conf, error) {
	c := newKrb5Conf()
	if strings.Contains(config, "\n") {
		return c, c.parse([]byte(config), "krb5.conf given as text", 0)
	}
	paths, mustExist := filepath.SplitList(config), true
	if config == "" {
		paths = filepath.SplitList(os.Getenv("KRB5_CONFIG"))
	}
	if len(paths) == 0 {
		paths, mustExist = []string{"/etc/krb5.conf"}, false
	}
	found := 0
	for _, path := range paths {
		err := c.include(path, 0)
		switch {
		case err == nil:
			found++
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
	}
	if found == 0 && mustExist {
		return nil, fmt.Errorf("krb5.conf: none of these files exists: %s", strings.Join(paths, ", "))
	}
	return c, nil
}

const (
	maxConfSize  = 1 << 20
	maxConfDepth = 8 // of include
)

func (c *krb5Conf) include(path string, depth int) error {
	if depth > maxConfDepth {
		return fmt.Errorf("krb5.conf: %s: include is nested more than %d deep", path, maxConfDepth)
	}
	text, err := readSmallFile(path, maxConfSize)
	if err != nil {
		return fmt.Errorf("krb5.conf: %w", err)
	}
	return c.parse(text, path, depth)
}

// includeDir reads the files whose names MIT's library accepts: letters, digits, - and _, or
// anything that ends in .conf and does not begin with a dot.
func (c *krb5Conf) includeDir(dir string, depth int) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("krb5.conf: includedir: %w", err)
	}
	for _, e := range entries {
		plain := strings.Trim(e.Name(), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
		conf := strings.HasSuffix(e.Name(), ".conf") && !strings.HasPrefix(e.Name(), ".")
		if e.IsDir() || !plain && !conf {
			continue
		}
		if err := c.include(filepath.Join(dir, e.Name()), depth); err != nil {
			return err
		}
	}
	return nil
}

// parse reads one file. It knows the grammar, not every relation: what it does not use it skips.
func (c *krb5Conf) parse(text []byte, name string, depth int) error {
	var path []string // section, subsections
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, maxConfSize)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		var err error
		if path, err = c.line(line, path, depth); err != nil {
			return fmt.Errorf("%s, line %d: %w", name, n, err)
		}
	}
	return lines.Err()
}

func (c *krb5Conf) line(line string, path []string, depth int) ([]string, error) {
	word, rest, _ := strings.Cut(line, " ")
	key, value, relation := strings.Cut(line, "=")
	key, value = strings.TrimRight(strings.TrimSpace(key), "*"), strings.TrimSpace(value)
	switch {
	case line[0] == '[':
		section, _, ok := strings.Cut(line[1:], "]")
		if !ok {
			return path, fmt.Errorf("section without ]")
		}
		return []string{strings.TrimSpace(section)}, nil
	case !relation && word == "include":
		return path, c.include(strings.TrimSpace(rest), depth+1)
	case !relation && word == "includedir":
		return path, c.includeDir(strings.TrimSpace(rest), depth+1)
	case !relation && word == "module":
		return path, nil
	case strings.HasPrefix(line, "}"):
		if len(path) < 2 {
			return path, errors.New("} without {")
		}
		return path[:len(path)-1], nil
	case !relation || key == "" || len(path) == 0:
		return path, errors.New("want name = value inside a section")
	case value == "{":
		if len(path) > maxConfDepth {
			return path, errors.New("{ nested too deep")
		}
		return append(path, key), nil
	}
	if unquoted, err := strconv.Unquote(value); err == nil && value[0] == '"' {
		value = unquoted
	}
	return path, c.set(path, key, value)
}

func (c *krb5Conf) set(path []string, key, value string) error {
	switch {
	case path[0] == "libdefaults" && len(path) == 1:
		if c.seen[key] {
			return nil
		}
		c.seen[key] = true
		return c.setDefault(key, value)
	case path[0] == "realms" && len(path) == 2 && key == "kdc":
		c.kdcs[path[1]] = append(c.kdcs[path[1]], value)
	case path[0] == "domain_realm" && len(path) == 1:
		if _, ok := c.domains[strings.ToLower(key)]; !ok {
			c.domains[strings.ToLower(key)] = value
		}
	}
	return nil
}

func (c *krb5Conf) setDefault(key, value string) (err error) {
	switch key {
	case "default_realm":
		c.defaultRealm = value
	case "default_ccache_name":
		c.defaultCCache = value
	case "udp_preference_limit":
		c.udpLimit, err = strconv.Atoi(value)
	case "dns_lookup_kdc":
		c.lookupKDC, err = parseBool(value)
	case "permitted_enctypes":
		c.etypes, err = parseEtypes(value)
	case "default_tkt_enctypes":
		c.tktEtypes, err = parseEtypes(value)
	case "default_tgs_enctypes":
		c.tgsEtypes, err = parseEtypes(value)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

func parseBool(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "y", "yes", "true", "t", "1", "on":
		return true, nil
	case "n", "no", "false", "nil", "0", "off":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false", s)
}

// parseEtypes reads a list like "aes256-cts, rc4" or "DEFAULT -rc4". Types that are not spoken are
// skipped, as they are in MIT's library.
func parseEtypes(s string) ([]int32, error) {
	var ids []int32
	for _, word := range strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '\t' || r == ',' }) {
		name, remove := strings.CutPrefix(word, "-")
		named := krb5.EtypesNamed(strings.TrimPrefix(name, "+"))
		if strings.EqualFold(name, "DEFAULT") {
			named = krb5.Etypes()
		}
		for _, id := range named {
			ids = without(ids, id)
			if !remove {
				ids = append(ids, id)
			}
		}
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("%q names no encryption type that is supported", s)
	}
	return ids, nil
}

func without(ids []int32, id int32) []int32 {
	kept := ids[:0:0]
	for _, have := range ids {
		if have != id {
			kept = append(kept, have)
		}
	}
	return kept
}

// asEtypes and tgEtypes are the types to ask for in AS and TGS requests.
func (c *krb5Conf) asEtypes() []int32 {
	if c.tktEtypes != nil {
		return c.tktEtypes
	}
	return c.etypes
}

func (c *krb5Conf) tgEtypes() []int32 {
	if c.tgsEtypes != nil {
		return c.tgsEtypes
	}
	return c.etypes
}

// realmOf is the realm of a host by [domain_realm]: its own entry, then those of its domains, with
// the leading dot and without. It is "" when there is none.
func (c *krb5Conf) realmOf(host string) string {
	for name := strings.ToLower(host); name != ""; {
		if realm, ok := c.domains[name]; ok {
			return realm
		}
		if name[0] == '.' {
			name = name[1:]
			continue
		}
		dot := strings.IndexByte(name, '.')
		if dot < 0 {
			return ""
		}
		name = name[dot:]
	}
	return ""
}
