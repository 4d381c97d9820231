package loadtest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/turngate/turngate/proxyconnect"
)

const (
	deathLook  = 2 * time.Second // between looks at what may have died
	deathTries = 3               // in a row that must fail
	deathDial  = 5 * time.Second
)

// ErrServerDied is in what Test.Died returns if it is the TURN server that has died, and not what is tested.
var ErrServerDied = errors.New("the TURN server has died")

// A death ends a run: what it needs is no more.
type death struct{ error }

func (d death) Unwrap() error { return d.error }

// mourn ends the run when something dies that it cannot go on without. What was cut off by that is
// counted before.
func (r *run) mourn(ctx context.Context, end context.CancelCauseFunc) {
	died := func(err error) {
		if wait(ctx, time.Second) {
			end(death{err})
		}
	}
	if r.Died != nil {
		r.watching.Go(func() {
			if err := r.Died(ctx); err != nil {
				died(err)
			}
		})
	}
	r.watching.Go(func() {
		for failed := 0; wait(ctx, deathLook); {
			err := r.lifeless(ctx)
			if err == nil {
				failed = 0
			} else if failed++; failed == deathTries {
				died(err)
			}
		}
	})
}

func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// lifeless says what does not accept connections any more, if no call is left and none can be opened. A
// server that accepts them, and then refuses, lives.
func (r *run) lifeless(ctx context.Context) error {
	live := r.rows.latest()
	if s := live.Snapshot; s.Live > 0 || s.Lost == 0 && len(s.Failed) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, deathDial)
	defer cancel()
	if !live.Direct {
		conn, _, err := r.Proxied(ctx)
		if err == nil {
			conn.Close()
			return nil
		}
		var ce *proxyconnect.ConnectError
		if errors.As(err, &ce) && ce.Stage == proxyconnect.StageDial {
			return fmt.Errorf("the proxy has died: no call is left, and it accepts no connection: %w", err)
		}
	}
	if r.NoBaseline && r.Peer.IsValid() {
		return nil // the server is not reached without the proxy
	}
	conn, _, err := r.Direct(ctx)
	if err == nil {
		conn.Close()
		return nil
	}
	return fmt.Errorf("%w: no call is left, and it accepts no connection: %w", ErrServerDied, err)
}
