package proxyfind

import (
	"regexp"
	"strings"

	"github.com/dop251/goja"
)

// helpers are the functions that a PAC file may call, after the documentation of Netscape's and
// Microsoft's: https://developer.mozilla.org/docs/Web/HTTP/Guides/Proxy_servers_and_tunneling/Proxy_Auto-Configuration_PAC_file
// and "IPv6 Extensions to Navigator Auto-Config File Format". Where these are silent, Chromium decides:
// a test asks it.
func (s *script) helpers() map[string]func(goja.FunctionCall) goja.Value {
	return map[string]func(goja.FunctionCall) goja.Value{
		"isPlainHostName":     s.function(1, func(a []string) any { return isPlainHostName(a[0]) }),
		"dnsDomainIs":         s.function(2, func(a []string) any { return strings.HasSuffix(a[0], a[1]) }),
		"localHostOrDomainIs": s.function(2, func(a []string) any { return localHostOrDomainIs(a[0], a[1]) }),
		"isResolvable":        s.function(1, func(a []string) any { return s.resolve4(a[0]) != "" }),
		"isInNet":             s.function(3, func(a []string) any { return s.isInNet(a[0], a[1], a[2]) }),
		"dnsResolve":          s.function(1, func(a []string) any { return orNull(s.resolve4(a[0])) }),
		"convert_addr":        s.function(1, func(a []string) any { return convertAddr(a[0]) }),
		"myIpAddress":         s.function(0, func([]string) any { return s.myIPAddress() }),
		"dnsDomainLevels":     s.function(1, func(a []string) any { return strings.Count(a[0], ".") }),
		"shExpMatch":          s.function(2, func(a []string) any { return s.shExpMatch(a[0], a[1]) }),
		"weekdayRange":        s.function(0, func(a []string) any { return weekdayRange(s.world.now(), a) }),
		"dateRange":           s.function(0, func(a []string) any { return dateRange(s.world.now(), a) }),
		"timeRange":           s.function(0, func(a []string) any { return s.timeRange(a) }),
		"alert":               s.function(0, s.alert),

		"isResolvableEx":    s.function(1, func(a []string) any { return len(s.resolve(a[0])) > 0 }),
		"dnsResolveEx":      s.function(1, func(a []string) any { return join(s.resolve(a[0])) }),
		"myIpAddressEx":     s.function(0, func([]string) any { return join(s.world.addresses) }),
		"isInNetEx":         s.function(2, func(a []string) any { return isInNetEx(a[0], a[1]) }),
		"sortIpAddressList": s.function(1, func(a []string) any { return sortAddressList(a[0]) }),
		"getClientVersion":  s.function(0, func([]string) any { return "1.0" }),
	}
}

// function makes a JavaScript function of one that takes its arguments as strings, at least so many.
func (s *script) function(arguments int, f func([]string) any) func(goja.FunctionCall) goja.Value {
	return func(call goja.FunctionCall) goja.Value {
		if len(call.Arguments) < arguments {
			panic(s.vm.NewTypeError("%d arguments are needed, not %d", arguments, len(call.Arguments)))
		}
		var texts []string
		for _, a := range call.Arguments {
			texts = append(texts, a.String())
		}
		return s.vm.ToValue(f(texts))
	}
}

func (s *script) alert(a []string) any {
	s.world.alert(strings.Join(a, " "))
	return goja.Undefined()
}

func orNull(text string) any {
	if text == "" {
		return goja.Null()
	}
	return text
}

func isPlainHostName(host string) bool { return !strings.ContainsAny(host, ".:") }

// localHostOrDomainIs: the same name, or one without a domain that is the first label of the other.
func localHostOrDomainIs(host, name string) bool {
	return host == name || strings.HasPrefix(name, host+".") && host != ""
}

// shExpMatch is documented as a substitution: of . * ? by what they mean in a regular expression, the
// rest of which stays in force. Go's matches in linear time.
func (s *script) shExpMatch(text, pattern string) bool {
	expression := strings.NewReplacer(".", `\.`, "*", ".*", "?", ".").Replace(pattern)
	re, err := regexp.Compile("^" + expression + "$")
	if err != nil {
		panic(s.vm.NewTypeError("shExpMatch(%q): %v", pattern, err))
	}
	return re.MatchString(text)
}
