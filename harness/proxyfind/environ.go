package proxyfind

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"golang.org/x/net/http/httpproxy"

	"github.com/turngate/turngate/harness/credentials"
)

// The variables, the first that is set decides.
var (
	proxyVariables = []string{"HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"}
	exceptions     = []string{"NO_PROXY", "no_proxy"}
)

// byEnvironment reads the variables as golang.org/x/net/http/httpproxy has them for https: NO_PROXY
// holds names, domains, addresses and networks; localhost and loopback addresses have no proxy.
func (f *Finder) byEnvironment(host, port string) (Found, error) {
	name, value := f.variable(proxyVariables)
	if value == "" {
		return Found{Source: ByNothing, By: "no --proxy, --pac, --wpad, HTTPS_PROXY or ALL_PROXY", Ways: []Way{{Kind: Direct}}}, nil
	}
	ways, err := proxyWays(value)
	if err != nil {
		return Found{}, &Error{Failure: BadValue, Where: name, Err: err}
	}
	except, list := f.variable(exceptions)
	config := httpproxy.Config{HTTPSProxy: ways[0].httpproxy(), NoProxy: list}
	target := &url.URL{Scheme: "https", Host: strings.TrimSuffix(strings.TrimPrefix(askedURL(host, port), "https://"), "/")}
	switch u, err := config.ProxyFunc()(target); {
	case err != nil:
		return Found{}, &Error{Failure: BadValue, Where: name, Err: errors.New("it cannot be read")} // its text may hold a password
	case u != nil:
	case httpproxyLoopback(host):
		return Found{Source: ByEnvironment, By: name + ", which is not for localhost", Ways: []Way{{Kind: Direct}}}, nil
	default:
		return Found{Source: ByEnvironment, By: except + ", which excepts " + host + " from " + name, Ways: []Way{{Kind: Direct}}}, nil
	}
	found := Found{Source: ByEnvironment, By: name, Ways: ways}
	found.User, found.Password = userinfo(value)
	if ways[0].Kind == SOCKS {
		return found, &Error{Failure: OnlySOCKS, Where: name, Err: fmt.Errorf("it names %s", ways[0])}
	}
	return found, nil
}

// httpproxy is the way as httpproxy takes it. Which proxy it is does not matter to the exceptions.
func (w Way) httpproxy() string {
	if u := w.URL(); u != "" {
		return u
	}
	return "socks5://" + w.Address()
}

func httpproxyLoopback(host string) bool {
	c := httpproxy.Config{HTTPSProxy: "http://proxy:1"}
	u, err := c.ProxyFunc()(&url.URL{Scheme: "https", Host: strings.TrimSuffix(strings.TrimPrefix(askedURL(host, "443"), "https://"), "/")})
	return err == nil && u == nil
}

func (f *Finder) variable(names []string) (name, value string) {
	get := f.Getenv
	if get == nil {
		get = os.Getenv
	}
	for _, name := range names {
		if value := strings.TrimSpace(get(name)); value != "" {
			return name, value
		}
	}
	return names[0], ""
}

// proxyWays reads the URL of a proxy: http, https, socks4, socks5, or host:port for http. Its errors
// show no text, for that may hold a password.
func proxyWays(text string) ([]Way, error) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("want the URL of a proxy, http://HOST:PORT")
	}
	word, _, _ := strings.Cut(strings.TrimSuffix(strings.TrimSuffix(u.Scheme, "h"), "a"), "+") // socks5h, socks4a
	if word == "http" {
		word = "proxy"
	}
	way, ok := parseWay(word + " " + u.Host)
	if !ok {
		return nil, fmt.Errorf("want the URL of a proxy, http://HOST:PORT, not one of the scheme %q", clip(u.Scheme))
	}
	return []Way{way}, nil
}

func userinfo(text string) (user string, password credentials.Secret) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.User == nil {
		return "", ""
	}
	p, _ := u.User.Password()
	return u.User.Username(), credentials.Secret(p)
}
