//go:build unix

package report

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/turngate/turngate/internal/peers"
)

// browserTime bounds everything that is done with one browser; it takes about three seconds.
const browserTime = 75 * time.Second

// The page in a browser: it asks for nothing and complains of nothing, on a wide screen, on a narrow
// one, in the dark and on paper.
func TestHTMLInChromium(t *testing.T) {
	peers.Need(t, "chromium")
	page := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(page, []byte(htmlOf(t, sampleRecord())), 0o666); err != nil {
		t.Fatal(err)
	}
	b := startBrowser(t)
	b.open("file://" + page)
	if want := []string{"file://" + page}; !slices.Equal(b.requests, want) {
		t.Errorf("requests %q, want the page alone", b.requests)
	}
	if len(b.complaints) > 0 {
		t.Errorf("the browser says %q", b.complaints)
	}
	light := b.eval(`getComputedStyle(document.body).backgroundColor`)
	for _, width := range []int{1160, 400} {
		b.do("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false}, nil)
		if got := b.eval(`document.documentElement.scrollWidth - document.documentElement.clientWidth`); got != "0" {
			t.Errorf("in a window %d wide the page is %s too wide", width, got)
		}
	}
	b.do("Emulation.setDeviceMetricsOverride", map[string]any{"width": 1160, "height": 900, "deviceScaleFactor": 1, "mobile": false}, nil)
	b.look("light")
	b.do("Emulation.setEmulatedMedia", map[string]any{"features": []any{map[string]any{"name": "prefers-color-scheme", "value": "dark"}}}, nil)
	if dark := b.eval(`getComputedStyle(document.body).backgroundColor`); light != "rgb(255, 255, 255)" || dark == light {
		t.Errorf("background %s, in the dark %s", light, dark)
	}
	b.look("dark")
	var pdf struct{ Data []byte }
	b.do("Page.printToPDF", map[string]any{"preferCSSPageSize": true, "printBackground": true}, &pdf)
	if n := bytes.Count(pdf.Data, []byte("/Type /Page\n")); n < 3 || n > 12 {
		t.Errorf("%d pages on paper, want 3 to 12", n)
	}
	b.keep("print.pdf", pdf.Data)
	if len(b.requests) != 1 || len(b.complaints) > 0 {
		t.Errorf("in the end: requests %q, complaints %q", b.requests, b.complaints)
	}
}

// The test above can fail: a page that asks and complains is seen to.
func TestChromiumSeesRequests(t *testing.T) {
	peers.Need(t, "chromium")
	page := filepath.Join(t.TempDir(), "bad.html")
	if err := os.WriteFile(page, []byte(`<!DOCTYPE html><img src="beside.png"><script>console.error("oh")</script>`), 0o666); err != nil {
		t.Fatal(err)
	}
	b := startBrowser(t)
	b.open("file://" + page)
	if len(b.requests) < 2 || !strings.Contains(strings.Join(b.complaints, "\n"), "oh") {
		t.Errorf("requests %q, complaints %q", b.requests, b.complaints)
	}
}

// A browser is Chromium, driven over its debugging pipe.
type browser struct {
	t          *testing.T
	out        *os.File
	in         *bufio.Reader
	session    string
	next       int
	loaded     bool
	requests   []string
	complaints []string
}

// A message of the protocol: a reply has an ID, an event a Method.
type message struct {
	ID     int
	Method string
	Params json.RawMessage
	Result json.RawMessage
	Error  *struct{ Message string }
}

func startBrowser(t *testing.T) *browser {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command(peers.Find("chromium"), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--user-data-dir="+filepath.Join(dir, "profile"), "--remote-debugging-pipe", "about:blank")
	theirIn, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	in, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env, cmd.ExtraFiles = append(os.Environ(), "HOME="+dir), []*os.File{theirIn, theirOut}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirIn.Close()
	theirOut.Close()
	kill := func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	limit := time.AfterFunc(browserTime, kill)
	t.Cleanup(func() {
		limit.Stop()
		kill()
		cmd.Wait()
		out.Close()
		in.Close()
	})
	b := &browser{t: t, out: out, in: bufio.NewReader(in)}
	var target struct{ TargetID string }
	b.do("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.do("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	for _, domain := range []string{"Network", "Runtime", "Log", "Page"} {
		b.do(domain+".enable", nil, nil)
	}
	return b
}

// do calls a method and waits for its reply, noting the events that come before.
func (b *browser) do(method string, params, result any) {
	b.t.Helper()
	b.next++
	call := map[string]any{"id": b.next, "method": method}
	if params != nil {
		call["params"] = params
	}
	if b.session != "" {
		call["sessionId"] = b.session
	}
	text, err := json.Marshal(call)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.out.Write(append(text, 0)); err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	for {
		m := b.read()
		if m.ID != b.next {
			continue
		}
		if m.Error != nil {
			b.t.Fatalf("%s: %s", method, m.Error.Message)
		}
		if result != nil {
			if err := json.Unmarshal(m.Result, result); err != nil {
				b.t.Fatalf("%s: %v", method, err)
			}
		}
		return
	}
}

func (b *browser) read() (m message) {
	b.t.Helper()
	text, err := b.in.ReadBytes(0)
	if err != nil {
		b.t.Fatalf("the browser ended: %v", err)
	}
	if err := json.Unmarshal(bytes.TrimSuffix(text, []byte{0}), &m); err != nil {
		b.t.Fatal(err)
	}
	b.note(m)
	return m
}

func (b *browser) note(m message) {
	switch m.Method {
	case "Network.requestWillBeSent":
		var p struct{ Request struct{ URL string } }
		json.Unmarshal(m.Params, &p)
		b.requests = append(b.requests, p.Request.URL)
	case "Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown":
		b.complaints = append(b.complaints, string(m.Params))
	case "Page.loadEventFired":
		b.loaded = true
	}
}

// open shows a page and waits until all of it is there.
func (b *browser) open(url string) {
	b.t.Helper()
	b.do("Page.navigate", map[string]any{"url": url}, nil)
	for !b.loaded {
		b.read()
	}
	b.eval("1") // what was said before is heard
}

// eval returns the value of an expression, as text.
func (b *browser) eval(expression string) string {
	b.t.Helper()
	var r struct{ Result struct{ Value any } }
	b.do("Runtime.evaluate", map[string]any{"expression": expression}, &r)
	return fmt.Sprint(r.Result.Value)
}

// look keeps a picture of the whole page for whoever wants to see it.
func (b *browser) look(name string) {
	if os.Getenv("TURNGATE_LOOK") == "" {
		return
	}
	var shot struct{ Data string }
	b.do("Page.captureScreenshot", map[string]any{"captureBeyondViewport": true}, &shot)
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		b.t.Fatal(err)
	}
	b.keep(name+".png", png)
}

func (b *browser) keep(name string, data []byte) {
	if dir := os.Getenv("TURNGATE_LOOK"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			b.t.Fatal(err)
		}
	}
}
