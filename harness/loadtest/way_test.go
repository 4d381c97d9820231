package loadtest

import (
	"context"
	"fmt"
	"io"
	"syscall"
	"testing"

	"github.com/turngate/turngate/proxyconnect"
	"github.com/turngate/turngate/turntcp"
)

// What is counted is what ended a set-up, not what came before it.
func TestCause(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{&proxyconnect.ConnectError{Stage: proxyconnect.StageConnect, Status: 503, Err: proxyconnect.ErrRefused}, "the proxy answers CONNECT with 503"},
		{&proxyconnect.ConnectError{Stage: proxyconnect.StageDial, Err: context.DeadlineExceeded}, "proxy, connecting to the proxy: time-out"},
		{&proxyconnect.ConnectError{Stage: proxyconnect.StageConnect, Status: 407, Err: context.DeadlineExceeded}, "proxy, CONNECT: time-out"},
		{&proxyconnect.ConnectError{Stage: proxyconnect.StageConnect, Status: 407, Err: fmt.Errorf("read: %w", syscall.ECONNRESET)}, "proxy, CONNECT: reset"},
		{&proxyconnect.ConnectError{Stage: proxyconnect.StageAuthenticate, Status: 407, Err: proxyconnect.ErrRejected}, "the proxy answers CONNECT with 407"},
		{&turntcp.Error{Method: "Allocate", Code: 486}, "the TURN server answers Allocate with 486"},
		{io.ErrUnexpectedEOF, "closed by the other side"},
		{fmt.Errorf("bind: %w", syscall.EADDRNOTAVAIL), "out of ports"},
	} {
		if got := Cause(c.err); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}
