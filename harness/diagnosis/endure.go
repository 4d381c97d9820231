package diagnosis

import (
	"context"
	"fmt"
	"time"
)

// Endurance is what the slow probes found out about how long a tunnel lasts.
type Endurance struct {
	// Survived is the longest silence after which the tunnel still answered, CutAfterIdle the
	// silence after which it did not; in seconds, 0: none.
	Survived     float64 `json:"survived_idle_s,omitempty"`
	CutAfterIdle float64 `json:"cut_after_idle_s,omitempty"`

	// Lived is how long a tunnel with traffic every second was there, Cut whether it was ended.
	Lived float64 `json:"lived_s,omitempty"`
	Cut   bool    `json:"cut,omitempty"`

	// Reconnects are what new tunnels with their allocations took, in milliseconds, the fastest first.
	Reconnects []float64 `json:"reconnects_ms,omitempty"`

	// Reconnected is what a new tunnel took after one was cut, in milliseconds.
	Reconnected    float64 `json:"reconnected_ms,omitempty"`
	ReconnectError string  `json:"reconnect_error,omitempty"`
}

// held is how long an allocation must last for the slow probes, so that its end is not taken for the
// tunnel's. It is the most that servers grant (RFC 8656 section 3.2).
const held = time.Hour

// idle is silent for longer and longer, and asks each time whether the tunnel is still there.
func (w *walk) idle(ctx context.Context) (string, error) {
	e := w.endurance()
	for _, silence := range w.Idle {
		if _, err := w.near.Refresh(ctx, held); err != nil {
			return "", ended(w.near, err)
		}
		if err := pause(ctx, silence); err != nil {
			return "", err
		}
		// The silence was ours; what cut the tunnel shows when we speak again.
		answer, cancel := context.WithTimeout(ctx, w.timeout())
		_, err := w.near.Binding(answer)
		cancel()
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		if err != nil {
			e.CutAfterIdle = silence.Seconds()
			w.reconnect(ctx)
			return fmt.Sprintf("cut within a silence of %v: %v%s", silence, ended(w.near, err), e.again()), nil
		}
		e.Survived = silence.Seconds()
	}
	return fmt.Sprintf("there after a silence of %v", time.Duration(e.Survived*float64(time.Second))), nil
}

// lifetime keeps the tunnel busy until it is cut or the time is over.
func (w *walk) lifetime(ctx context.Context) (string, error) {
	e := w.endurance()
	if e.CutAfterIdle > 0 {
		return "", skipped("the tunnel was cut when it was idle")
	}
	start := time.Now()
	for time.Since(start) < w.Lifetime {
		if err := pause(ctx, min(time.Second, time.Until(start.Add(w.Lifetime)))); err != nil {
			return "", err
		}
		answer, cancel := context.WithTimeout(ctx, w.timeout())
		_, err := w.near.Refresh(answer, held)
		cancel()
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		e.Lived = time.Since(w.opened).Seconds()
		if err != nil {
			e.Cut = true
			w.reconnect(ctx)
			return fmt.Sprintf("cut after %.0f s: %v%s", e.Lived, ended(w.near, err), e.again()), nil
		}
	}
	return fmt.Sprintf("there after %.0f s", e.Lived), nil
}

func (w *walk) endurance() *Endurance {
	if w.report.Endurance == nil {
		w.report.Endurance = new(Endurance)
	}
	return w.report.Endurance
}

// reconnect opens another tunnel in the place of one that was cut, and closes it.
func (w *walk) reconnect(ctx context.Context) {
	e := w.endurance()
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, 3*w.timeout())
	defer cancel()
	conn, err := w.dial(ctx)
	if err != nil {
		e.ReconnectError = err.Error()
		return
	}
	conn.Close()
	e.Reconnected = milliseconds(time.Since(start))
}

// again says in words whether a new tunnel opened.
func (e *Endurance) again() string {
	if e.ReconnectError != "" {
		return "; a new one does not open: " + e.ReconnectError
	}
	return fmt.Sprintf("; a new one opens in %.0f ms", e.Reconnected)
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
