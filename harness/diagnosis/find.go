package diagnosis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/turngate/turngate/harness/proxyfind"
	"github.com/turngate/turngate/proxyconnect"
)

// A ProxyFinder finds the way, and makes the dialer for a proxy. trusted: credentials may go there;
// otherwise the dialer has none.
type ProxyFinder interface {
	Find(ctx context.Context, target string) (proxyfind.Found, error)
	Dialer(ctx context.Context, f proxyfind.Found, w proxyfind.Way) (d *proxyconnect.Dialer, trusted bool, err error)
}

// Route is who names the proxy, and what became of the names.
type Route struct {
	proxyfind.Found
	Chosen      string            `json:"chosen,omitempty"`      // the directive that the check went on with
	Unreachable []string          `json:"unreachable,omitempty"` // those before it, and why they were passed over
	Withheld    bool              `json:"credentials_withheld,omitempty"`
	Failure     proxyfind.Failure `json:"failure,omitempty"`
}

// findProxy lets the finder decide, and takes the first proxy that can be connected to, as browsers do.
func (w *walk) findProxy(ctx context.Context) (string, error) {
	found, err := w.Find.Find(ctx, w.TURN.Address)
	route := &Route{Found: found}
	w.report.Route = route
	if err != nil {
		var e *proxyfind.Error
		if errors.As(err, &e) {
			route.Failure, route.Line = e.Failure, e.Line
		}
		return "", err
	}
	way := w.firstReachable(ctx, route)
	route.Chosen = way.String()
	if w.noProxy = way.Kind == proxyfind.Direct; !w.noProxy {
		d, trusted, err := w.Find.Dialer(ctx, found, way)
		if err != nil {
			return "", err
		}
		w.Dialer, route.Withheld, w.report.Proxy = d, !trusted, d.Proxy
	}
	return route.summary(), nil
}

// firstReachable tries the proxies of a list with more than one. Where none can be connected to, it is
// the first, for the next stages to say why.
func (w *walk) firstReachable(ctx context.Context, route *Route) proxyfind.Way {
	ways := route.Usable()
	for _, way := range ways {
		if len(ways) == 1 || way.Kind == proxyfind.Direct {
			return way
		}
		err := w.reachable(ctx, way)
		if err == nil {
			return way
		}
		route.Unreachable = append(route.Unreachable, fmt.Sprintf("%s: %v", way, err))
	}
	route.Unreachable = nil
	return ways[0]
}

func (w *walk) reachable(ctx context.Context, way proxyfind.Way) error {
	ctx, cancel := context.WithTimeout(ctx, min(w.timeout(), directTimeout))
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", way.Address())
	if err != nil {
		return err
	}
	return conn.Close()
}

func (r *Route) summary() string {
	text := fmt.Sprintf("%s, by %s", r.Chosen, r.By)
	if r.Line > 0 {
		text += fmt.Sprintf(" (line %d)", r.Line)
	}
	if len(r.Ways) > 1 {
		var words []string
		for _, way := range r.Ways {
			words = append(words, way.String())
		}
		text += "; all: " + strings.Join(words, ", ")
	}
	for _, text2 := range r.Unreachable {
		text += "; passed over " + text2
	}
	if r.Withheld {
		text += "; no credentials go there"
	}
	return text
}

// enterDirect is the tunnel of a way without a proxy.
func (w *walk) enterDirect(ctx context.Context) (string, error) {
	start := time.Now()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", w.TURN.Address)
	w.last = time.Since(start)
	if err != nil {
		return "", err
	}
	w.tunnel, w.opened = &observedConn{Conn: conn}, time.Now()
	w.conn = w.tunnel
	return "to " + w.TURN.Address + ", without a proxy", nil
}

func noProxyStage(context.Context) (string, error) {
	return "", skipped("there is no proxy on this way")
}

// direct tells whether the way has no proxy.
func (r *Report) direct() bool { return r.Route != nil && r.Route.Chosen == string(proxyfind.Direct) }

// route is about the search for the proxy.
func (e *explainer) route() {
	codes := map[proxyfind.Failure]string{
		proxyfind.Unfetchable: "pac.not-fetched", proxyfind.TooLarge: "pac.too-large", proxyfind.NotScript: "pac.not-javascript",
		proxyfind.ScriptError: "pac.script-error", proxyfind.Stopped: "pac.stopped", proxyfind.NothingToUse: "pac.nothing-usable",
		proxyfind.OnlySOCKS: "find.socks-only", proxyfind.NoWPAD: "wpad.not-found",
	}
	if r := e.r.Route; r != nil && codes[r.Failure] != "" {
		e.add(codes[r.Failure], Certain, "%s", e.s.Error)
	}
}

// noWayThrough is about a target that is to be reached without a proxy, and is not.
func (e *explainer) noWayThrough() {
	e.add("find.direct", Certain, "by %s there is no proxy for %s, and without one: %s", e.r.Route.By, e.r.Target, e.s.Error)
}

// passedOver is about proxies of a list that cannot be connected to.
func (e *explainer) passedOver() {
	if r := e.r.Route; r != nil && len(r.Unreachable) > 0 {
		e.add("find.first-unreachable", Certain, "passed over %s; %s is used", strings.Join(r.Unreachable, "; "), r.Chosen)
	}
}

// withheld is about a proxy that asks for credentials which may not go there.
func (e *explainer) withheld() bool {
	r := e.r.Route
	if r == nil || !r.Withheld {
		return false
	}
	_, address, _ := strings.Cut(r.Chosen, " ")
	e.add("auth.proxy-not-allowed", Certain, "%s names the proxy, which offers %s; --proxy-allow %s would let credentials go there", r.Source, e.offered(), address)
	return true
}

// cleartextProxy says of a proxy that the user did not name why flags do not let Basic through.
func (e *explainer) cleartextProxy() string {
	if r := e.r.Route; r != nil && !r.Named() {
		return fmt.Sprintf("; %s names it, and so no flag lets Basic go there: --proxy %s would", cmp.Or(r.Source, "nobody"), e.r.Proxy)
	}
	return ""
}

// lines are what a script did, for --verbose.
func (r *Route) lines() (lines []string) {
	if r.Answer != "" {
		lines = append(lines, fmt.Sprintf("FindProxyForURL(%q) says %q", r.Asked, r.Answer))
	}
	for _, l := range r.Lookups {
		lines = append(lines, fmt.Sprintf("the script looked up %s: %s", l.Name, cmp.Or(l.Addresses, l.Error)))
	}
	for _, text := range r.Alerts {
		lines = append(lines, "the script wrote: "+text)
	}
	for _, text := range r.Ignored {
		lines = append(lines, "not understood: "+text)
	}
	for _, text := range r.Passed {
		lines = append(lines, "WPAD passed over "+text)
	}
	return lines
}
