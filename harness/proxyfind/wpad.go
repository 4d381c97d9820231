package proxyfind

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// byWPAD asks the hosts that WPAD's names lead to, the nearest domain first, and takes the first script.
func (f *Finder) byWPAD(ctx context.Context, host, port string) (Found, error) {
	path := cmp.Or(f.ResolvConf, "/etc/resolv.conf")
	names, err := wpadNames(path)
	if err != nil {
		return Found{}, &Error{Failure: NoWPAD, Where: path, Err: err}
	}
	var passed []string
	for _, name := range names {
		place := "http://" + name + "/wpad.dat"
		script, err := f.loadWPAD(ctx, name, place)
		if ctx.Err() != nil {
			return Found{}, &Error{Failure: NoWPAD, Where: place, Err: context.Cause(ctx)}
		}
		if err != nil {
			passed = append(passed, clip(err.Error()))
			continue
		}
		found, err := f.evaluate(ctx, place, script, host, port)
		found.Source, found.Passed = ByWPAD, passed
		return found, err
	}
	return Found{Source: ByWPAD, Passed: passed}, &Error{Failure: NoWPAD, Where: "WPAD", Err: errors.New(strings.Join(passed, "; "))}
}

// loadWPAD looks the name up first, so that a domain without WPAD costs no connection.
func (f *Finder) loadWPAD(ctx context.Context, name, place string) (string, error) {
	lookup, cancel := context.WithTimeout(ctx, f.timeout())
	defer cancel()
	if _, err := f.lookup(lookup, name); err != nil {
		return "", fmt.Errorf("%s: %s", name, dnsText(err))
	}
	return f.load(ctx, place)
}

// maxDomains bounds how much of resolv.conf is asked for.
const maxDomains = 12

// wpadNames are wpad.DOMAIN for each search domain and the domains above it, up to the one that
// somebody registered: above that the name belongs to others. DHCP is not asked.
func wpadNames(resolvConf string) (names []string, err error) {
	domains, err := searchDomains(resolvConf)
	if err != nil {
		return nil, err
	}
	for _, domain := range domains {
		registered, err := publicsuffix.EffectiveTLDPlusOne(domain)
		if err != nil {
			continue // corp, or co.uk: nothing below is ours for sure
		}
		for domain = "." + domain; strings.HasSuffix(domain, "."+registered); {
			if name := "wpad" + domain; !slices.Contains(names, name) && len(names) < maxDomains {
				names = append(names, name)
			}
			_, rest, _ := strings.Cut(domain[1:], ".")
			domain = "." + rest
		}
	}
	if len(names) == 0 {
		return nil, errors.New("it names no search domain that WPAD could be asked for below a registered name")
	}
	return names, nil
}

// searchDomains reads resolv.conf(5): the last line of search or domain counts.
func searchDomains(path string) (domains []string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) < 2 || words[0] != "search" && words[0] != "domain" {
			continue
		}
		domains = nil
		for _, word := range words[1:] {
			word = strings.ToLower(strings.Trim(word, "."))
			if plausibleHost(word) && net.ParseIP(word) == nil {
				domains = append(domains, word)
			}
		}
	}
	return domains, lines.Err()
}
