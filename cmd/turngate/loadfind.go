package main

import (
	"context"
	"fmt"

	"github.com/turngate/turngate/harness/proxyfind"
	"github.com/turngate/turngate/proxyconnect"
)

// named tells that a proxy is named, or to be found: no lab is loaded.
func (f *pathFlags) named() bool { return f.Proxy != "" || f.PAC != "" || f.WPAD }

// dialer makes the dialer of the proxy that is loaded, which a PAC file may name, and puts its URL into the
// flags; by says who named it, for the record. What is loaded is one proxy: the first that is named. Where
// the credentials may not go there nothing is dialled.
func (f *pathFlags) dialer(ctx context.Context, flags *proxyFlags, target string) (d *proxyconnect.Dialer, by string, err error) {
	if f.PAC == "" && !f.WPAD {
		d, err = flags.dialer(ctx)
		return d, "", err
	}
	found, err := f.find(ctx, flags, target)
	if err != nil {
		return nil, "", err
	}
	way := found.Usable()[0]
	if way.Kind == proxyfind.Direct {
		return nil, "", usageError{fmt.Errorf("%s says DIRECT for %s: there is no proxy to load", found.By, target)}
	}
	d, trusted, err := f.dialerTo(ctx, *flags, found, way)
	if err != nil {
		return nil, "", err
	}
	if !trusted && flags.Auth != "none" {
		return nil, "", usageError{fmt.Errorf("credentials go to a proxy that %s names only with --proxy-allow %s; without any: --auth none", found.Source, way.Address())}
	}
	flags.Proxy = way.URL()
	by = "; named by " + found.By
	if n := len(found.Ways); n > 1 {
		by += fmt.Sprintf(", the first of %d", n)
	}
	return d, by, nil
}
