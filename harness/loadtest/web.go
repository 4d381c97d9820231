package loadtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/turngate/turngate/harness/measure"
)

// The figures of the web traffic beside the calls.
const (
	WebP50         = "web_p50_ms" // from when a page was due to its last byte
	WebP95         = "web_p95_ms"
	WebRate        = "web_pages_per_s"  // that came
	WebFailedShare = "web_failed_share" // of those that were due
)

// A Web is what else a company's proxy carries: short tunnels beside the calls, each for one page. They
// are opened by the clock, whatever became of the ones before, in every step through the proxy.
type Web struct {
	Rate   float64 // pages per second
	Target string  // host:port of a server that speaks HTTP
	Path   string  // of the page. Default "/"
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
}

const (
	webTime    = 30 * time.Second // for one page
	webAtOnce  = 1000             // more are not opened, and count as failed
	maxWebPage = 64 << 20         // bytes that are read of a page
)

// webLoad is the traffic of one step.
type webLoad struct {
	*Web
	room chan struct{}
	work sync.WaitGroup

	mu     sync.Mutex
	took   *measure.Latency
	due    int
	failed map[string]int
}

// start begins with the traffic; stop ends it, and adds the figures to the step.
func (w *Web) start(ctx context.Context) (stop func(*measure.Step)) {
	if w == nil || w.Rate <= 0 {
		return func(*measure.Step) {}
	}
	l := &webLoad{Web: w, room: make(chan struct{}, webAtOnce), took: measure.NewLatency(), failed: make(map[string]int)}
	ctx, cancel := context.WithCancel(ctx)
	begun := time.Now()
	l.work.Go(func() { l.offer(ctx, begun) })
	return func(s *measure.Step) {
		seconds := time.Since(begun).Seconds()
		cancel()
		l.work.Wait()
		l.figures(s, seconds)
	}
}

func (l *webLoad) offer(ctx context.Context, begun time.Time) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := 0; ; i++ {
		due := begun.Add(time.Duration(float64(i) / l.Rate * float64(time.Second)))
		timer.Reset(time.Until(due))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		select {
		case l.room <- struct{}{}:
			l.work.Go(func() {
				defer func() { <-l.room }()
				err := l.fetch(ctx)
				l.came(ctx, time.Since(due), err)
			})
		default:
			l.came(ctx, 0, fmt.Errorf("%d pages are waited for", webAtOnce))
		}
	}
}

// came counts a page; one that the end of the step has cut was not due in it.
func (l *webLoad) came(ctx context.Context, took time.Duration, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil && ctx.Err() != nil {
		return
	}
	l.due++
	if err != nil {
		l.failed[Cause(err)]++
		return
	}
	l.took.Record(took)
}

func (l *webLoad) fetch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, webTime)
	defer cancel()
	conn, err := l.Dial(ctx, "tcp", l.Target)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	path := l.Path
	if path == "" {
		path = "/"
	}
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: turngate\r\nConnection: close\r\n\r\n", path, l.Target); err != nil {
		return err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, io.LimitReader(resp.Body, maxWebPage))
	switch {
	case err != nil:
		return err
	case resp.StatusCode/100 != 2:
		return fmt.Errorf("the page's server answers %d", resp.StatusCode)
	case n == maxWebPage:
		return errors.New("the page is larger than 64 MiB")
	}
	return nil
}

func (l *webLoad) figures(s *measure.Step, seconds float64) {
	if s.Figures == nil {
		s.Figures = make(map[string]float64)
	}
	s.Figures[WebRate] = float64(l.took.Count()) / seconds
	if l.took.Count() > 0 {
		s.Figures[WebP50], s.Figures[WebP95] = l.took.Milliseconds(0.5), l.took.Milliseconds(0.95)
	}
	if l.due > 0 {
		s.Figures[WebFailedShare] = 1 - float64(l.took.Count())/float64(l.due)
	}
	for cause, n := range l.failed {
		if s.Tunnels.Causes == nil {
			s.Tunnels.Causes = make(map[string]int)
		}
		s.Tunnels.Causes["web page: "+cause] += n
	}
}
