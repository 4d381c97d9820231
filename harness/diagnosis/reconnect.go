package diagnosis

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// reconnects ends the near end's tunnel and makes another one, with its allocation, as a client does when
// a tunnel was cut: so long is a call silent.
func (w *walk) reconnects(ctx context.Context) (string, error) {
	e := w.endurance()
	for range w.Reconnect {
		w.near.Close()
		start := time.Now()
		client, relay, err := w.openEnd(ctx, &w.nearSink)
		if err != nil {
			return "", err
		}
		w.near, w.nearRelay, w.opened = client, relay, time.Now()
		e.Reconnects = append(e.Reconnects, milliseconds(time.Since(start)))
	}
	slices.Sort(e.Reconnects)
	n := len(e.Reconnects)
	return fmt.Sprintf("%d times; a new tunnel with its allocation stands after %.1f/%.1f ms (median/longest)", n, e.Reconnects[n/2], e.Reconnects[n-1]), nil
}
