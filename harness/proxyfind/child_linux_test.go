package proxyfind

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A child that runs a script has an empty environment and the kernel's limits on CPU time, address
// space and core files.
func TestChildIsConfined(t *testing.T) {
	t.Setenv("SECRET", "s3cret")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c, err := new(Finder).start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer c.end(nil)
	q := question{Script: "function FindProxyForURL() { alert('here'); for (var i = 0; ; ) i++; }", Limit: time.Minute, Memory: defaultMemory}
	if err := json.NewEncoder(c.in).Encode(q); err != nil {
		t.Fatal(err)
	}
	var m message
	if err := json.NewDecoder(c.out).Decode(&m); err != nil || m.Alert == nil {
		t.Fatalf("got %+v, %v, want the script's alert", m, err)
	}
	proc := fmt.Sprintf("/proc/%d/", c.cmd.Process.Pid)
	limits, err := os.ReadFile(proc + "limits")
	if err != nil {
		t.Fatal(err)
	}
	for name, most := range map[string]uint64{"Max cpu time": 30, "Max address space": 16 << 30, "Max core file size": 0} {
		m := regexp.MustCompile(name + ` +(\S+) +(\S+)`).FindSubmatch(limits)
		if m == nil {
			t.Fatalf("no %s in:\n%s", name, limits)
		}
		if hard, err := strconv.ParseUint(string(m[2]), 10, 64); err != nil || hard > most {
			t.Errorf("%s is %s, want at most %d", name, m[2], most)
		}
	}
	if environ, err := os.ReadFile(proc + "environ"); err != nil || len(environ) > 0 {
		t.Errorf("environment %q, %v, want none", environ, err)
	}
}

// Where the watch over the heap does not stop a script, the kernel's limit does.
func TestAddressSpace(t *testing.T) {
	f := finder(writeFile(t, "function FindProxyForURL() { var s = 'xxxxxxxxxxxxxxxx'; for (;;) s += s; }"))
	f.Memory = 1 << 40
	_, err := f.Find(t.Context(), target)
	var e *Error
	if !errors.As(err, &e) || e.Failure != Stopped || !strings.Contains(err.Error(), "it ran out of its memory") {
		t.Errorf("got %v, want the end of its memory", err)
	}
}
