package loadtest

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/turngate/turngate/harness/lab/testproxy"
	"github.com/turngate/turngate/harness/loadgen"
	"github.com/turngate/turngate/harness/measure"
	"github.com/turngate/turngate/turntcp"
)

// A run that needs what has died ends soon, says what died, and keeps what it had measured.
func TestDeath(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		kill    func(*testproxy.Proxy, *turntcp.Server, chan error)
		verdict measure.Verdict
		says    string
	}{
		{"proxy", func(p *testproxy.Proxy, _ *turntcp.Server, _ chan error) { p.Close() }, measure.Fail, "the proxy has died: no call is left, and it accepts no connection: "},
		{"server", func(_ *testproxy.Proxy, s *turntcp.Server, _ chan error) { s.Close() }, measure.Void, "the TURN server has died: no call is left, and it accepts no connection: "},
		{"somebody says so", func(p *testproxy.Proxy, _ *turntcp.Server, died chan error) {
			p.Close()
			died <- errors.New("the proxy has died: signal: killed")
		}, measure.Fail, "the proxy has died: signal: killed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server, err := turntcp.NewServer(turntcp.Config{
				Realm: "test", RelayIP: netip.MustParseAddr("127.0.0.1"),
				Credentials: turntcp.StaticCredentials(map[string]string{"user": "password"}),
			})
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			addr, err := server.ListenTCP("127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			proxy, dialer := startProxy(t, testproxy.Limits{})
			lt := newTest(t, "audio", TURN{Address: addr.String(), User: "user", Password: "password"}, dialer)
			died := make(chan error, 1)
			lt.Died = func(ctx context.Context) error {
				select {
				case err := <-died:
					return err
				case <-ctx.Done():
					return nil
				}
			}
			once := false
			lt.Progress = func(l Live) {
				if !l.Direct && l.Snapshot.Received > 20 && !once {
					once = true
					test.kill(proxy, server, died)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // ten times what it takes
			defer cancel()
			r, err := lt.Load(ctx, []loadgen.Step{{Calls: 2, Duration: time.Hour}, {Calls: 3, Duration: time.Hour}})
			if err != nil || ctx.Err() != nil {
				t.Fatalf("%v, %v", err, ctx.Err())
			}
			last := r.Steps[len(r.Steps)-1]
			if !r.Partial || r.Verdict != test.verdict || len(r.Reasons) == 0 || !strings.HasPrefix(r.Reasons[0], test.says) {
				t.Errorf("partial %v, %s, because %q; want %s, because %q", r.Partial, r.Verdict, r.Reasons, test.verdict, test.says)
			}
			if len(r.Steps) != 2 || !last.Partial || last.Up.Received == 0 || last.Tunnels.Lost != 2 {
				t.Errorf("%d steps, the last partial %v, with %d packets, tunnels %+v", len(r.Steps), last.Partial, last.Up.Received, last.Tunnels)
			}
		})
	}
}
