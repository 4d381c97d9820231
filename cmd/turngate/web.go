package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"github.com/turngate/turngate/harness/loadtest"
)

// webFlags are the traffic beside the calls.
type webFlags struct {
	WebRate float64 `placeholder:"N" help:"Beside the calls, so many pages per second, each by a tunnel of its own, as people do who browse meanwhile."`
	WebPage string  `placeholder:"URL" help:"The page: http://host:port/path of a server of yours. Default, of a lab: one of --web-bytes on this machine."`
	WebSize int     `name:"web-bytes" default:"100000" help:"Size of the page, of a lab."`
}

// web makes the traffic, nil if there is none. stop ends the server of a lab's page.
func (f *webFlags) web(t *target) (w *loadtest.Web, stop func(), err error) {
	stop = func() {}
	switch {
	case f.WebRate == 0 && f.WebPage == "":
		return nil, stop, nil
	case f.WebRate <= 0 || f.WebRate > 10_000:
		return nil, stop, usageError{fmt.Errorf("--web-rate %v: want more than 0 and at most 10,000", f.WebRate)}
	case f.WebSize < 0 || f.WebSize > 50_000_000:
		return nil, stop, usageError{fmt.Errorf("--web-bytes %d: want up to 50,000,000", f.WebSize)}
	}
	w = &loadtest.Web{Rate: f.WebRate, Dial: t.dialer.DialContext}
	if f.WebPage != "" {
		u, err := url.Parse(f.WebPage)
		if err != nil || u.Scheme != "http" || u.Host == "" || u.User != nil {
			return nil, stop, usageError{errors.New("--web-page: want http://host:port/path")}
		}
		w.Target, w.Path = u.Host, u.RequestURI()
		if u.Port() == "" {
			w.Target = net.JoinHostPort(u.Hostname(), "80")
		}
		return w, stop, nil
	}
	if t.path.Lab == "" {
		return nil, stop, usageError{errors.New("--web-rate: name the page with --web-page, on a server of yours that the proxy reaches")}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, stop, err
	}
	page := make([]byte, f.WebSize)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(page) })}
	go server.Serve(l)
	w.Target = l.Addr().String()
	return w, func() { server.Close() }, nil
}
