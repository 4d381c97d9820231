package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/turngate/turngate/harness/matrix"
	"github.com/turngate/turngate/harness/proxyfind"
	"github.com/turngate/turngate/proxyconnect"
)

// findFlags say where the proxy's name comes from where --proxy does not give it.
type findFlags struct {
	PAC        string   `name:"pac" placeholder:"FILE|URL" help:"A PAC file that names the proxy."`
	WPAD       bool     `name:"wpad" help:"Look for a PAC file by WPAD: http://wpad.DOMAIN/wpad.dat for the search domains of /etc/resolv.conf."`
	ProxyAllow []string `placeholder:"HOST[:PORT],..." help:"Proxies that credentials may go to though a PAC file names them: HOST, HOST:PORT, .DOMAIN, or * for all."`
}

// finder makes the finder of the flags; without any the environment names the proxy. Its errors are
// usage errors.
func (f *findFlags) finder(proxy *proxyFlags) (*proxyfind.Finder, error) {
	switch {
	case proxy.Proxy != "" && (f.PAC != "" || f.WPAD):
		return nil, usageError{errors.New("--proxy, or $TURNGATE_PROXY, names the proxy: --pac and --wpad are for finding one")}
	case f.PAC != "" && f.WPAD:
		return nil, usageError{errors.New("--pac names a file, and --wpad looks for one: want one of them")}
	}
	if err := proxyfind.Allow(f.ProxyAllow).Validate(); err != nil {
		return nil, usageError{fmt.Errorf("--proxy-allow: %w", err)}
	}
	bare, err := proxy.bare()
	if err != nil {
		return nil, err
	}
	return &proxyfind.Finder{Proxy: proxy.Proxy, PAC: f.PAC, WPAD: f.WPAD, TLS: bare.TLS}, nil
}

// find looks for the proxy.
func (f *findFlags) find(ctx context.Context, proxy *proxyFlags, target string) (proxyfind.Found, error) {
	finder, err := f.finder(proxy)
	if err != nil {
		return proxyfind.Found{}, err
	}
	found, err := finder.Find(ctx, target)
	var e *proxyfind.Error
	switch {
	case errors.As(err, &e) && e.Failure == proxyfind.BadValue:
		err = usageError{err}
	case err != nil:
		err = hinted{fmt.Errorf("finding the proxy: %w", err), "turngate check says more; --proxy names a proxy without asking anybody"}
	}
	return found, err
}

// dialerTo makes the dialer for a proxy that was found, with credentials only if they may go there.
func (f *findFlags) dialerTo(ctx context.Context, proxy proxyFlags, found proxyfind.Found, way proxyfind.Way) (d *proxyconnect.Dialer, trusted bool, err error) {
	proxy.Proxy, proxy.host = cmp.Or(proxy.Proxy, way.URL()), way.Host
	if !found.Trusts(way, f.ProxyAllow) {
		d, err = proxy.bare()
		return d, false, err
	}
	if proxy.ProxyUser == "" {
		proxy.ProxyUser, proxy.found = found.User, found.Password
	}
	d, err = proxy.dialer(ctx)
	if err == nil && !found.Named() {
		d.AllowBasicOverHTTP = false // whatever the flags say of the proxies that they name
	}
	return d, true, err
}

// dial reaches a target by the ways that were found: the first whose proxy can be connected to, as
// browsers do.
func (f *findFlags) dial(ctx context.Context, proxy *proxyFlags, found proxyfind.Found, target string) (conn net.Conn, err error) {
	for _, way := range found.Usable() {
		if way.Kind == proxyfind.Direct {
			conn, err = dialDirect(ctx, found, target)
		} else {
			conn, err = f.dialThrough(ctx, proxy, found, way, target)
		}
		var ce *proxyconnect.ConnectError
		if err == nil || errors.As(err, &ce) && ce.Stage != proxyconnect.StageDial {
			break
		}
	}
	return conn, err
}

func dialDirect(ctx context.Context, found proxyfind.Found, target string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", target)
	if err != nil {
		return nil, hinted{fmt.Errorf("without a proxy, as of %s: %w", found.By, err), "name the proxy with --proxy, or let --pac or --wpad find it"}
	}
	return conn, nil
}

func (f *findFlags) dialThrough(ctx context.Context, proxy *proxyFlags, found proxyfind.Found, way proxyfind.Way, target string) (net.Conn, error) {
	d, trusted, err := f.dialerTo(ctx, *proxy, found, way)
	if err != nil {
		return nil, err
	}
	conn, err := d.DialContext(ctx, "tcp", target)
	switch {
	case err == nil:
		return conn, nil
	case errors.Is(err, proxyconnect.ErrNoCommonScheme) && !trusted:
		return nil, hinted{err, fmt.Sprintf("credentials go to a proxy that %s names only with --proxy-allow %s", found.Source, way.Address())}
	case errors.Is(err, proxyconnect.ErrCleartext) && !found.Named():
		return nil, hinted{err, "Basic sends the password in the clear only to a proxy that --proxy or the environment names"}
	}
	return nil, hinted{err, matrix.Hint(err)}
}

// A wayFinder is what check finds its proxy with.
type wayFinder struct {
	*proxyfind.Finder
	flags findFlags
	proxy proxyFlags
	known map[proxyfind.Way]*proxyconnect.Dialer // made before the walk
}

// proxyFinder makes it. What is wrong with flags, files and variables is told here, before anything is
// sent: a proxy of flag or environment gets its dialer, and for one of a PAC file the secrets are read.
func (f *findFlags) proxyFinder(ctx context.Context, proxy *proxyFlags, target string) (*wayFinder, error) {
	finder, err := f.finder(proxy)
	if err != nil {
		return nil, err
	}
	w := &wayFinder{Finder: finder, flags: *f, proxy: *proxy, known: make(map[proxyfind.Way]*proxyconnect.Dialer)}
	if f.PAC != "" || f.WPAD {
		return w, w.proxy.readSecrets(ctx)
	}
	found, err := finder.Find(ctx, target)
	var e *proxyfind.Error
	if errors.As(err, &e) && e.Failure == proxyfind.BadValue {
		return nil, usageError{err}
	}
	for _, way := range found.Usable() {
		if way.Kind == proxyfind.Direct {
			continue
		}
		if w.known[way], _, err = f.dialerTo(ctx, w.proxy, found, way); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// Dialer makes the dialer of a way, with the header field that browsers' TURN has.
func (w *wayFinder) Dialer(ctx context.Context, found proxyfind.Found, way proxyfind.Way) (d *proxyconnect.Dialer, trusted bool, err error) {
	if d, trusted = w.known[way]; !trusted {
		d, trusted, err = w.flags.dialerTo(ctx, w.proxy, found, way)
	}
	if err != nil {
		return nil, false, err
	}
	d.ALPN = []string{"stun.turn"}
	return d, trusted, nil
}

// pacChildCmd is what this program calls itself with to run the script of a PAC file.
type pacChildCmd struct{}

// Run answers the question on standard input.
func (pacChildCmd) Run(std stdio) error { return proxyfind.Child(std.in, std.out) }
