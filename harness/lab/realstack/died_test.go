//go:build linux

package realstack

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/turngate/turngate/internal/peers"
)

// Of a proxy that is killed somebody is told; of one that Close ends nobody is.
func TestDied(t *testing.T) {
	peers.Need(t, "tinyproxy")
	stack, err := Start(within(t), Config{Users: users, Only: []string{"tinyproxy"}})
	if err != nil {
		t.Fatal(err)
	}
	defer stack.Close()
	if err := syscall.Kill(stack.Proxies()[0].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-stack.Died():
		if text := err.Error(); !strings.HasPrefix(text, "tinyproxy ended by itself: signal: killed; its log ends with: ") || strings.Contains(text, "\n") {
			t.Errorf("got %q", text)
		}
	case <-time.After(time.Minute):
		t.Error("nobody is told")
	}
	other, err := Start(within(t), Config{Users: users, Only: []string{"tinyproxy"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil {
		t.Error(err)
	}
	select {
	case err := <-other.Died():
		t.Errorf("closed, and told of: %v", err)
	default:
	}
}
