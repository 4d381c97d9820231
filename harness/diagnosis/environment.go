package diagnosis

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// An Environment is what else a helper at a distance needs to know of the machine. It holds no secret:
// of environment variables only those named here, without user and password.
type Environment struct {
	Version   string            `json:"version"`
	Go        string            `json:"go"`
	System    string            `json:"system"`
	Kernel    string            `json:"kernel,omitempty"`
	Time      time.Time         `json:"time"` // with its zone
	Variables map[string]string `json:"variables,omitempty"`
	Resolvers []string          `json:"resolvers,omitempty"` // lines of resolv.conf
	MTU       map[string]int    `json:"mtu,omitempty"`       // of the interfaces that are up
	Arguments []string          `json:"arguments,omitempty"` // secrets are files, not arguments
}

// proxyVariables hold URLs, which may hold a password.
var proxyVariables = []string{"TURNGATE_PROXY", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"}

// otherVariables hold names and paths.
var otherVariables = []string{"NO_PROXY", "no_proxy", "TURNGATE_AUTH", "KRB5_CONFIG", "KRB5CCNAME", "KRB5_KTNAME", "SSL_CERT_FILE", "SSL_CERT_DIR", "GODEBUG"}

// ThisEnvironment looks at the machine. version is the program's; lookup is os.LookupEnv.
func ThisEnvironment(version string, arguments []string, lookup func(string) (string, bool)) Environment {
	e := Environment{
		Version: version, Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH, Time: time.Now(),
		Variables: make(map[string]string), MTU: make(map[string]int), Arguments: withoutUserinfo(arguments),
	}
	for _, name := range slices.Concat(proxyVariables, otherVariables) {
		value, set := lookup(name)
		switch {
		case !set:
		case slices.Contains(proxyVariables, name):
			e.Variables[name] = hideUserinfo(value)
		default:
			e.Variables[name] = value
		}
	}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		e.Kernel = strings.TrimSpace(string(text))
	}
	e.Resolvers = resolvers("/etc/resolv.conf")
	interfaces, _ := net.Interfaces() // without them, the bundle has less
	for _, i := range interfaces {
		if i.Flags&net.FlagUp != 0 {
			e.MTU[i.Name] = i.MTU
		}
	}
	return e
}

// hideUserinfo leaves of a proxy's URL what is no secret; of what cannot be read as one, nothing.
func hideUserinfo(text string) string {
	if !strings.Contains(text, "@") {
		return text
	}
	full := text
	if !strings.Contains(text, "://") {
		full = "http://" + text
	}
	u, err := url.Parse(full)
	if err != nil {
		return "(not a URL)"
	}
	return u.Scheme + "://(user)@" + u.Host
}

// withoutUserinfo hides what a URL among the arguments may hold.
func withoutUserinfo(arguments []string) (clean []string) {
	for _, a := range arguments {
		if strings.Contains(a, "://") && strings.Contains(a, "@") {
			name, value, joined := strings.Cut(a, "=")
			if joined && strings.HasPrefix(a, "-") {
				a = name + "=" + hideUserinfo(value)
			} else {
				a = hideUserinfo(a)
			}
		}
		clean = append(clean, a)
	}
	return clean
}

const maxResolverLines = 20

func resolvers(path string) (lines []string) {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan() && len(lines) < maxResolverLines; {
		if line := strings.TrimSpace(s.Text()); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, clip(line))
		}
	}
	return lines
}

func (e Environment) write(w io.Writer) error {
	j := json.NewEncoder(w)
	j.SetIndent("", "  ")
	j.SetEscapeHTML(false)
	return j.Encode(e)
}
