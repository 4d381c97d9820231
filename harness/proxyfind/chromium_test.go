//go:build unix

package proxyfind

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/turngate/turngate/internal/peers"
)

// beside is a script that evaluates every expression of a table and writes what it is.
func beside(table []struct{ expression, want string }) string {
	var b strings.Builder
	b.WriteString("function FindProxyForURL(url, host) {\n\talert('URL ' + url + ' ' + host);\n\tvar i, r, list = [\n")
	for _, c := range table {
		text, _ := json.Marshal(c.expression)
		fmt.Fprintf(&b, "\t\t%s,\n", text)
	}
	b.WriteString("\t];\n\tfor (i = 0; i < list.length; i++) {\n\t\ttry { r = String(eval(list[i])); } catch (e) { r = 'throws'; }\n\t\talert('#' + i + ' ' + r);\n\t}\n\treturn 'PROXY 127.0.0.1:1';\n}\n")
	return b.String()
}

// onlyOurs are rows that depend on what the test's world holds, on Chromium's resolver, which has no
// names here, or that Chromium does not have.
var onlyOurs = regexp.MustCompile(`host\.test|myIpAddress|getClientVersion|Ex\("::1"\)|new Date\(`)

// nowTable has rows about the clock as it is; ours and Chromium's run within a second of each other.
func nowTable() (table []struct{ expression, want string }) {
	t := time.Now()
	day, month, year := t.Day(), months[t.Month()-1], t.Year()
	weekday := func(n int) string { return weekdays[(int(t.Weekday())+n+7)%7] }
	for _, e := range []string{
		fmt.Sprintf("weekdayRange(%q)", weekday(0)), fmt.Sprintf("weekdayRange(%q)", weekday(1)), fmt.Sprintf("weekdayRange(%q, %q)", weekday(-1), weekday(1)),
		fmt.Sprintf("weekdayRange(%q, %q)", weekday(1), weekday(-1)), fmt.Sprintf("weekdayRange(%q, %q)", weekday(1), weekday(0)), fmt.Sprintf("weekdayRange(%q, 'GMT')", weekday(0)),
		fmt.Sprintf("dateRange(%d)", day), fmt.Sprintf("dateRange(%q)", month), fmt.Sprintf("dateRange(%d)", year), fmt.Sprintf("dateRange(%d, %d)", year-1, year+1),
		fmt.Sprintf("dateRange(%d, %d)", year+1, year-1), fmt.Sprintf("dateRange(%d, %q)", day, month), fmt.Sprintf("dateRange(%d, %q, %d)", day, month, year),
		fmt.Sprintf("dateRange(%d, %q, %d, %q)", day, month, day, month), "dateRange(1, 'JAN', 31, 'DEC')", fmt.Sprintf("dateRange(%q, %d, %q, %d)", month, year, month, year),
		fmt.Sprintf("dateRange(1, 'JAN', %d, 31, 'DEC', %d)", year-1, year-1), fmt.Sprintf("dateRange(%d, 'GMT')", t.UTC().Day()),
		fmt.Sprintf("timeRange(%d)", t.Hour()), fmt.Sprintf("timeRange(%d, %d)", t.Hour(), t.Hour()), fmt.Sprintf("timeRange(%d, %d)", t.Hour()+1, t.Hour()),
		fmt.Sprintf("timeRange(%d, 0, %d, 59)", t.Hour(), t.Hour()), fmt.Sprintf("timeRange(%d, 0, %d, 59)", (t.Hour()+1)%24, t.Hour()), fmt.Sprintf("timeRange(%d, 'GMT')", t.UTC().Hour()),
		"timeRange(0, 0, 0, 23, 59, 59)", "timeRange()", "weekdayRange()", "dateRange()",
	} {
		table = append(table, struct{ expression, want string }{e, ""})
	}
	return table
}

// Chromium's helper functions, asked by its own log, do what the table says and what ours do now; and
// the URL that it asks for a TURN server is the one that we ask. Names are not looked up: Chromium is
// told that there are none.
func TestHelpersAsChromium(t *testing.T) {
	peers.Need(t, "chromium")
	var table []struct{ expression, want string }
	for _, c := range helperTable {
		if !onlyOurs.MatchString(c.expression) {
			table = append(table, c)
		}
	}
	s := newScript(world{now: time.Now, lookup: tableWorld().lookup, alert: func(string) {}})
	for _, c := range nowTable() {
		v, err := s.vm.RunString("String(" + c.expression + ")")
		if err != nil {
			t.Fatal(err)
		}
		c.want = v.String()
		table = append(table, c)
	}
	alerts := chromiumAlerts(t, beside(table), "turn:turn.corp.example:3478?transport=tcp", "turns:Turn2.corp.example:443", "turns:10.9.8.7:5349")
	seen := 0
	for i, c := range table {
		switch got, ok := alerts[fmt.Sprintf("#%d", i)]; {
		case !ok:
			t.Errorf("Chromium did not come to %s", c.expression)
		case got != c.want:
			t.Errorf("%s is %s in Chromium, we say %s", c.expression, got, c.want)
		default:
			seen++
		}
	}
	for _, target := range []string{"turn.corp.example:3478", "Turn2.corp.example:443", "10.9.8.7:5349"} {
		host, port, _ := net.SplitHostPort(target)
		if want := askedURL(host, port) + " " + strings.ToLower(host); !strings.Contains(alerts["all"], "\nURL "+want+"\n") {
			t.Errorf("Chromium did not ask for %s:\n%s", want, regexp.MustCompile(`(?m)^URL .*turn.*$`).FindAllString(alerts["all"], -1))
		}
	}
	t.Logf("%d expressions are the same in Chromium", seen)
}

// chromiumAlerts runs Chromium with a PAC file and a page that wants TURN. It returns by their first word
// what the script wrote, and under "all" every line.
func chromiumAlerts(t *testing.T, pac string, servers ...string) map[string]string {
	t.Helper()
	list, _ := json.Marshal(servers)
	mux := http.NewServeMux()
	serve := func(path, text string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(text)) })
	}
	serve("/proxy.pac", pac)
	serve("/page", fmt.Sprintf(`<!doctype html><script>
const pc = new RTCPeerConnection({iceServers: [{urls: %s, username: 'u', credential: 'p'}], iceTransportPolicy: 'relay'});
pc.createDataChannel('x'); pc.createOffer().then(o => pc.setLocalDescription(o));
</script>`, list))
	server := httptest.NewServer(mux)
	defer server.Close()
	dir, err := os.MkdirTemp("", "tg-chromium-") // t.TempDir fails where Chromium still writes
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	log := filepath.Join(dir, "net.json")
	cmd := exec.Command(peers.Find("chromium"), "--headless=new", "--no-sandbox", "--disable-gpu", "--user-data-dir="+filepath.Join(dir, "profile"),
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
		"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--proxy-pac-url="+server.URL+"/proxy.pac",
		"--log-net-log="+log, "--net-log-capture-mode=Everything", "--remote-debugging-port=0", server.URL+"/page")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
	}()
	alert := regexp.MustCompile(`"message":"((?:[^"\\]|\\.)*)"`)
	alerts := make(map[string]string)
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		text, _ := os.ReadFile(log)
		all := "\n"
		for _, m := range alert.FindAllSubmatch(text, -1) {
			var line string
			if json.Unmarshal([]byte(`"`+string(m[1])+`"`), &line) != nil {
				continue
			}
			word, rest, _ := strings.Cut(line, " ")
			alerts[word] = rest
			all += line + "\n"
		}
		alerts["all"] = all
		complete := true
		for _, server := range servers {
			host, port, _ := net.SplitHostPort(strings.TrimSuffix(server[strings.Index(server, ":")+1:], "?transport=tcp"))
			complete = complete && strings.Contains(all, "\nURL "+askedURL(host, port)+" ")
		}
		if complete {
			break
		}
	}
	return alerts
}
