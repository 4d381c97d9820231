package loadtest

import (
	"context"
	"fmt"
	"time"

	"github.com/turngate/turngate/harness/loadgen"
)

// doubts are what such a run cannot know.
func (r *run) doubts() {
	if r.Peer.IsValid() {
		r.rows.cannot("which of both ways delayed a packet, since an echo peer answers")
	}
	if r.NoBaseline {
		r.rows.cannot("what the proxy adds: nothing was measured without it")
	}
}

// tryOut opens one connection each way, so that a wrong address or password costs one attempt and no
// run. With an echo peer it sees that something comes back.
func (r *run) tryOut(ctx context.Context) error {
	for _, way := range []struct {
		name   string
		direct bool
		dial   loadgen.Dial
	}{{"without the proxy, which " + r.needs(), true, r.Direct}, {"through the proxy", false, r.Proxied}} {
		if r.NoBaseline && r.Peer.IsValid() && way.direct {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		begun := time.Now()
		conn, _, err := way.dial(ctx)
		r.dialed = time.Since(begun)
		cancel()
		if err != nil {
			return fmt.Errorf("the TURN server %s: %w", way.name, err)
		}
		conn.Close()
	}
	if r.Peer.IsValid() {
		return r.tryPeer(ctx)
	}
	return nil
}

// needs says what the way without the proxy is for.
func (r *run) needs() string {
	if r.Peer.IsValid() {
		return "the baseline needs (--no-baseline leaves it out)"
	}
	return "the far ends and the baseline need"
}

func (r *run) tryPeer(ctx context.Context) error {
	g, err := r.Generator(false)
	if err != nil {
		return err
	}
	defer g.Close()
	if err := g.Try(ctx); err != nil {
		return fmt.Errorf("a call to the echo peer %v through the proxy: %w", r.Peer, err)
	}
	return nil
}
