package proxyfind

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// The helper functions, by the documentation of PAC files: its own examples come first. 192.0.2.2 and
// 2001:db8::2 are this machine's addresses, host.test has 10.1.2.3 and 2001:db8::3. A test lets
// Chromium do the same (see TestHelpersAsChromium).
var helperTable = []struct{ expression, want string }{
	{`isPlainHostName("www.mozilla.org")`, "false"},
	{`isPlainHostName("www")`, "true"},
	{`isPlainHostName("127.0.0.1")`, "false"},
	{`isPlainHostName("::1")`, "false"},

	{`dnsDomainIs("www.mozilla.org", ".mozilla.org")`, "true"},
	{`dnsDomainIs("www", ".mozilla.org")`, "false"},
	{`dnsDomainIs("mozilla.org", ".mozilla.org")`, "false"},
	{`dnsDomainIs("www.MOZILLA.org", ".mozilla.org")`, "false"},
	{`dnsDomainIs("a", "abc")`, "false"},

	{`localHostOrDomainIs("www.mozilla.org", "www.mozilla.org")`, "true"},
	{`localHostOrDomainIs("www", "www.mozilla.org")`, "true"},
	{`localHostOrDomainIs("www.google.com", "www.mozilla.org")`, "false"},
	{`localHostOrDomainIs("home.mozilla.org", "www.mozilla.org")`, "false"},
	{`localHostOrDomainIs("ww", "www.mozilla.org")`, "false"},
	{`localHostOrDomainIs("", "www.mozilla.org")`, "false"},

	{`isResolvable("host.test")`, "true"},
	{`isResolvable("absent.test")`, "false"},
	{`isResolvable("127.0.0.1")`, "true"},
	{`isResolvable("::1")`, "false"}, // no IPv4
	{`isResolvable("")`, "false"},

	{`isInNet("198.95.249.79", "198.95.249.79", "255.255.255.255")`, "true"},
	{`isInNet("198.95.6.8", "198.95.0.0", "255.255.0.0")`, "true"},
	{`isInNet("198.96.6.8", "198.95.0.0", "255.255.0.0")`, "false"},
	{`isInNet("host.test", "10.0.0.0", "255.0.0.0")`, "true"},
	{`isInNet("absent.test", "0.0.0.0", "0.0.0.0")`, "false"},
	{`isInNet("200.1.1.1", "200.0.0.0", "255.0.0.0")`, "true"},
	{`isInNet("1.2.3.400", "1.2.3.0", "255.255.255.0")`, "false"},
	{`isInNet("::1", "0.0.0.0", "0.0.0.0")`, "false"},
	{`isInNet("1.2.3.4", "x", "255.0.0.0")`, "false"},
	{`isInNet("1.2.3.4", "1.0.0.0", "255.0")`, "false"},
	{`isInNet("01.2.3.4", "1.0.0.0", "255.0.0.0")`, "true"},

	{`dnsResolve("host.test")`, "10.1.2.3"},
	{`dnsResolve("absent.test")`, "null"},
	{`dnsResolve("127.0.0.1")`, "127.0.0.1"},
	{`dnsResolve("::1")`, "null"},
	{`dnsResolve("")`, "null"},

	{`convert_addr("104.16.41.2")`, "1745889538"},
	{`convert_addr("192.168.0.1")`, "-1062731775"},
	{`convert_addr("1.2.3")`, "16909056"},
	{`convert_addr("1.2.3.4.5")`, "16909060"},
	{`convert_addr("256.1.1.1")`, "65793"},
	{`convert_addr("x")`, "0"},

	{`myIpAddress()`, "192.0.2.2"},

	{`dnsDomainLevels("www")`, "0"},
	{`dnsDomainLevels("mozilla.org")`, "1"},
	{`dnsDomainLevels("www.mozilla.org")`, "2"},

	{`shExpMatch("http://home.netscape.com/people/ari/index.html", "*/ari/*")`, "true"},
	{`shExpMatch("http://home.netscape.com/people/montulli/index.html", "*/ari/*")`, "false"},
	{`shExpMatch("a.b.c", "*.c")`, "true"},
	{`shExpMatch("abc", "a.c")`, "false"},
	{`shExpMatch("abc", "a?c")`, "true"},
	{`shExpMatch("ac", "a?c")`, "false"},
	{`shExpMatch("abc", "a[bx]c")`, "true"},
	{`shExpMatch("abc", "a[^x]c")`, "true"},
	{`shExpMatch("x", "(x|y)")`, "true"},
	{`shExpMatch("ab", "a")`, "false"},
	{`shExpMatch("abc", "ABC")`, "false"},
	{`shExpMatch("", "")`, "true"},
	{`shExpMatch(1, "1")`, "true"},
	{`(function () { try { return shExpMatch("a(c", "a(c"); } catch (e) { return "throws"; } })()`, "throws"},

	{`alert("x")`, "undefined"},

	{`isResolvableEx("host.test")`, "true"},
	{`isResolvableEx("::1")`, "true"},
	{`isResolvableEx("absent.test")`, "false"},
	{`dnsResolveEx("host.test")`, "10.1.2.3;2001:db8::3"},
	{`dnsResolveEx("::1")`, "::1"},
	{`dnsResolveEx("absent.test")`, ""},
	{`myIpAddressEx()`, "192.0.2.2;2001:db8::2"},
	{`isInNetEx("198.95.249.79", "198.95.249.79/32")`, "true"},
	{`isInNetEx("198.95.6.8", "198.95.0.0/16")`, "true"},
	{`isInNetEx("3ffe:8311:ffff:abcd:1234:dead:beef:101", "3ffe:8311:ffff::/48")`, "true"},
	{`isInNetEx("198.95.1.1", "3ffe::/16")`, "false"},
	{`isInNetEx("host.test", "10.0.0.0/8")`, "false"},
	{`isInNetEx("1.2.3.4", "1.2.3.4")`, "false"},
	{`isInNetEx("1.2.3.4", "1.2.3.4/33")`, "false"},
	{`isInNetEx("1.2.3.4", "1.2.3.9/24")`, "true"},
	{`isInNetEx("1.2.3.4", "0.0.0.0/0")`, "true"},
	{`isInNetEx("::ffff:1.2.3.4", "1.2.3.0/24")`, "true"},
	{`isInNetEx("1.2.3.4", "::ffff:1.2.3.0/120")`, "true"},
	{`sortIpAddressList("10.2.3.9;2001:4898:28:3:201:2ff:feea:fc14;::1;127.0.0.1;::9")`, "::1;::9;2001:4898:28:3:201:2ff:feea:fc14;10.2.3.9;127.0.0.1"},
	{`sortIpAddressList("1.2.3.4; 1.2.3.3")`, "1.2.3.3;1.2.3.4"},
	{`sortIpAddressList("1.2.3.4;x")`, "false"},
	{`sortIpAddressList("")`, "false"},
	{`getClientVersion()`, "1.0"}, // Microsoft's; Chromium has none
}

// The clock's functions, on Thursday, 26 November 2026, 03:35:10 at one hour east of Greenwich, so that
// there it is 02:35:10.
var clockTable = []struct{ expression, want string }{
	{`weekdayRange("THU")`, "true"},
	{`weekdayRange("FRI")`, "false"},
	{`weekdayRange("MON", "FRI")`, "true"},
	{`weekdayRange("MON", "WED")`, "false"},
	{`weekdayRange("SAT", "WED")`, "false"},
	{`weekdayRange("FRI", "THU")`, "true"},
	{`weekdayRange("THU", "GMT")`, "true"},
	{`weekdayRange("WED", "THU", "GMT")`, "true"},
	{`weekdayRange("thu")`, "false"},
	{`weekdayRange("THU", "XXX")`, "false"},
	{`weekdayRange()`, "false"},

	{`dateRange(26)`, "true"},
	{`dateRange(27)`, "false"},
	{`dateRange("26")`, "true"},
	{`dateRange(26, "GMT")`, "true"},
	{`dateRange(1, 26)`, "true"},
	{`dateRange(27, 25)`, "false"},
	{`dateRange(28, 27)`, "true"},
	{`dateRange("NOV")`, "true"},
	{`dateRange("nov")`, "false"},
	{`dateRange("JAN", "MAR")`, "false"},
	{`dateRange("OCT", "NOV")`, "true"},
	{`dateRange("OCT", "JAN")`, "true"},
	{`dateRange("DEC", "JAN")`, "false"},
	{`dateRange(2026)`, "true"},
	{`dateRange(2025, 2026)`, "true"},
	{`dateRange(2024, 2025)`, "false"},
	{`dateRange(26, "NOV")`, "true"},
	{`dateRange(26, "NOV", 2026)`, "true"},
	{`dateRange(25, "NOV", 27, "NOV")`, "true"},
	{`dateRange(1, "JUN", 15, "AUG")`, "false"},
	{`dateRange(26, "NOV", 1, "FEB")`, "true"},
	{`dateRange(1, "DEC", 1, "FEB")`, "false"},
	{`dateRange("OCT", 2026, "MAR", 2027)`, "true"},
	{`dateRange("DEC", 2026, "MAR", 2027)`, "false"},
	{`dateRange(1, "JUN", 1995, 15, "AUG", 1995)`, "false"},
	{`dateRange(1, "JAN", 2025, 26, "NOV", 2026)`, "true"},
	{`dateRange(1, "JAN", 2025, 25, "NOV", 2026)`, "false"},
	{`dateRange()`, "false"},

	{`timeRange(3)`, "true"},
	{`timeRange(12)`, "false"},
	{`timeRange(2, "GMT")`, "true"},
	{`timeRange(3, "GMT")`, "false"},
	{`timeRange(2, 3)`, "true"}, // to the end of that hour, as in browsers
	{`timeRange(3, 4)`, "true"},
	{`timeRange(12, 13)`, "false"},
	{`timeRange(22, 6)`, "false"}, // not over midnight, as in browsers
	{`timeRange(3, 35, 3, 35)`, "true"},
	{`timeRange(3, 36, 4, 0)`, "false"},
	{`timeRange(23, 0, 4, 59)`, "true"},
	{`timeRange(0, 0, 0, 0, 0, 30)`, "false"},
	{`timeRange(3, 35, 10, 3, 35, 10)`, "true"},
	{`timeRange(3, 35, 11, 3, 35, 59)`, "false"},
	{`timeRange(23, 0, 0, 4, 59, 59)`, "true"},
	{`timeRange()`, "false"},
	{`new Date(2026, 10, 26, 3, 35, 10).getTime() == 1000 * Math.floor(Date.now() / 1000)`, "true"},
}

var tableTime = time.Date(2026, 11, 26, 3, 35, 10, 0, time.FixedZone("", 3600))

func tableWorld() world {
	known := map[string][]netip.Addr{"host.test": addresses("10.1.2.3", "2001:db8::3")}
	return world{
		now:       func() time.Time { return tableTime },
		lookup:    func(name string) []netip.Addr { return known[name] },
		alert:     func(string) {},
		addresses: addresses("192.0.2.2", "2001:db8::2"),
	}
}

func addresses(list ...string) (a []netip.Addr) {
	for _, text := range list {
		a = append(a, netip.MustParseAddr(text))
	}
	return a
}

func TestHelpers(t *testing.T) {
	local := time.Local
	time.Local = tableTime.Location()
	defer func() { time.Local = local }()
	s := newScript(tableWorld())
	used := ""
	for _, c := range append(helperTable, clockTable...) {
		used += c.expression
		got, err := s.vm.RunString("String(" + c.expression + ")")
		if err != nil {
			t.Errorf("%s: %v", c.expression, err)
		} else if got.String() != c.want {
			t.Errorf("%s is %s, want %s", c.expression, got, c.want)
		}
	}
	for name := range s.helpers() {
		if !strings.Contains(used, name+"(") {
			t.Errorf("the table does not have %s", name)
		}
	}
	for _, wrong := range []string{"isPlainHostName()", "isInNet('1.2.3.4', '1.2.3.4')", "timeRange(1, 2, 3)"} {
		if _, err := s.vm.RunString(wrong); err == nil || !strings.Contains(err.Error(), "TypeError") {
			t.Errorf("%s: got %v, want a TypeError", wrong, err)
		}
	}
}

// A name is asked for once in a script's run.
func TestLookupsAreKept(t *testing.T) {
	asked := 0
	w := tableWorld()
	w.lookup = func(string) []netip.Addr { asked++; return nil }
	s := newScript(w)
	if _, err := s.vm.RunString(`for (var i = 0; i < 9; i++) { isResolvable("a.test"); dnsResolve("a.test"); isResolvableEx("a.test"); }`); err != nil || asked != 1 {
		t.Errorf("%d lookups, %v; want 1", asked, err)
	}
}

// Nothing of the machine is within a script's reach.
func TestNothingElse(t *testing.T) {
	s := newScript(tableWorld())
	for _, name := range []string{"require", "process", "console", "fetch", "XMLHttpRequest", "setTimeout", "load", "read", "print"} {
		if v, err := s.vm.RunString("typeof " + name); err != nil || v.String() != "undefined" {
			t.Errorf("%s is %v, %v", name, v, err)
		}
	}
	if _, err := s.ask("function FindProxyForURL() { return 'DIRECT' }\n//# sourceMappingURL=/etc/passwd", "", ""); err != nil {
		t.Errorf("a source map was looked for: %v", err)
	}
	if _, err := s.vm.RunString("eval('1\\n//# sourceMappingURL=/no/such/file')"); err != nil {
		t.Errorf("a source map was looked for: %v", err)
	}
}
