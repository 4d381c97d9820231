package service

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A setting can be given as a flag, an environment variable and a key of the configuration file.
type setting struct {
	name string // of the flag: relay-ports
	list bool   // may be given more than once, or separated by commas
}

var settings = []setting{
	{name: "listen", list: true},
	{name: "cert"},
	{name: "key"},
	{name: "realm"},
	{name: "users"},
	{name: "auth-secret-file"},
	{name: "relay-ip", list: true},
	{name: "relay-ports"},
	{name: "allow-peer", list: true},
	{name: "deny-peer", list: true},
	{name: "inside-only"},
	{name: "tcp-relays"},
	{name: "old-channels"},
	{name: "proxy-protocol-from", list: true},
	{name: "max-connections"},
	{name: "max-connections-per-ip"},
	{name: "max-handshakes"},
	{name: "max-credential-ttl"},
	{name: "max-user-allocations"},
	{name: "max-permissions"},
	{name: "max-channels"},
	{name: "max-user-rate"},
	{name: "max-total-rate"},
	{name: "max-queue-delay"},
	{name: "handshake-timeout"},
	{name: "request-timeout"},
	{name: "write-timeout"},
	{name: "drain-timeout"},
	{name: "metrics"},
	{name: "control"},
	{name: "audit"},
	{name: "audit-strict"},
	{name: "log-format"},
	{name: "log-level"},
}

// SettingNames are the names of all settings, as flags without the dashes.
func SettingNames() (names []string) {
	for _, s := range settings {
		names = append(names, s.name)
	}
	return names
}

// key is the setting's name in the configuration file: relay_ports.
func (s setting) key() string { return strings.ReplaceAll(s.name, "-", "_") }

// variable is the setting's environment variable: TURNGATE_RELAY_PORTS.
func (s setting) variable() string { return envPrefix + strings.ToUpper(s.key()) }

const envPrefix = "TURNGATE_"

// A value is the text of a setting and where it was given, as an admin would look for it:
// "--realm", "TURNGATE_REALM" or "turngate.yaml:3:8: realm".
type value struct{ text, at string }

// Sources are where settings come from. A flag wins over the environment, which wins over the file;
// lists replace each other and are not joined.
type Sources struct {
	Flags map[string][]string // by name, only those given
	Env   func(string) string // os.Getenv; an empty variable counts as not set
	File  string              // path of the configuration file, "" for none
}

// gather returns the values of every setting from the source that wins.
func (s Sources) gather() (map[string][]value, []error) {
	var file map[string][]value
	var problems []error
	if s.File != "" {
		file, problems = readFile(s.File)
	}
	values := make(map[string][]value)
	for _, set := range settings {
		switch {
		case s.Flags[set.name] != nil:
			for _, text := range s.Flags[set.name] {
				values[set.name] = append(values[set.name], value{text, "--" + set.name})
			}
		case s.Env != nil && s.Env(set.variable()) != "":
			values[set.name] = []value{{s.Env(set.variable()), set.variable()}}
		case file[set.name] != nil:
			values[set.name] = file[set.name]
		}
		if set.list {
			values[set.name] = splitCommas(values[set.name])
		}
	}
	return values, problems
}

func splitCommas(list []value) (all []value) {
	for _, v := range list {
		for text := range strings.SplitSeq(v.text, ",") {
			all = append(all, value{strings.TrimSpace(text), v.at})
		}
	}
	return all
}

// suggestion is "; did you mean X?" for the known word that is nearest to a mistyped one, or "" where
// none is near.
func suggestion(word string, known []string) string {
	word = strings.ReplaceAll(strings.ToLower(word), "-", "_")
	best := slices.MinFunc(known, func(a, b string) int { return cmp.Compare(distance(word, a), distance(word, b)) })
	near := distance(word, best) <= max(1, len(best)/3)
	if !near {
		at := slices.IndexFunc(known, func(k string) bool { return len(word) >= 3 && strings.HasPrefix(k, word) })
		if at < 0 {
			return ""
		}
		best = known[at]
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// maxWord bounds the work of distance; no setting's name is nearly as long.
const maxWord = 64

// distance is how many letters must be put in, taken out, changed or swapped with the next one (the
// optimal string alignment distance).
func distance(a, b string) int {
	if len(a) > maxWord {
		return len(a)
	}
	var d [maxWord + 1][maxWord + 1]int
	for i := range len(a) + 1 {
		for j := range len(b) + 1 {
			if i == 0 || j == 0 {
				d[i][j] = i + j
				continue
			}
			change := d[i-1][j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			d[i][j] = min(change, d[i-1][j]+1, d[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}
