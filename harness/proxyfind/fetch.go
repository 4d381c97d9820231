package proxyfind

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"unicode/utf8"
)

// load reads a PAC file from a path or a URL, whatever its content type says.
func (f *Finder) load(ctx context.Context, place string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout())
	defer cancel()
	body, err := f.open(ctx, place)
	if err != nil {
		return "", &Error{Failure: Unfetchable, Where: place, Err: err}
	}
	defer body.Close()
	text, err := io.ReadAll(io.LimitReader(body, MaxScript+1))
	switch {
	case err != nil:
		return "", &Error{Failure: Unfetchable, Where: place, Err: err}
	case len(text) > MaxScript:
		return "", &Error{Failure: TooLarge, Where: place, Err: fmt.Errorf("more than %d bytes", MaxScript)}
	}
	return decode(text), nil
}

// open opens a file, or asks for it without a proxy: nobody has named one yet.
func (f *Finder) open(ctx context.Context, place string) (io.ReadCloser, error) {
	u, err := url.Parse(place)
	if err != nil || u.Scheme == "" || len(u.Scheme) == 1 { // C:\proxy.pac
		return openFile(place)
	}
	switch u.Scheme {
	case "file":
		return openFile(u.Path)
	case "http", "https":
		return f.get(ctx, u)
	}
	return nil, fmt.Errorf("want a path, or a URL of http, https or file, not of %s", u.Scheme)
}

func openFile(path string) (io.ReadCloser, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular(): // a pipe may never end
		return nil, errors.New("not a regular file")
	}
	return os.Open(path)
}

func (f *Finder) get(ctx context.Context, u *url.URL) (io.ReadCloser, error) {
	transport := f.transport
	if transport == nil {
		transport = &http.Transport{TLSClientConfig: f.TLS.Clone(), DisableKeepAlives: true}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/x-ns-proxy-autoconfig, */*")
	response, err := (&http.Client{Transport: transport}).Do(request) // follows 10 redirects at most
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err // the place is named already
		}
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		response.Body.Close()
		return nil, fmt.Errorf("the server answers %s", clip(response.Status))
	}
	return response.Body, nil
}

// decode takes what is no UTF-8 for Latin-1.
func decode(text []byte) string {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	if utf8.Valid(text) {
		return string(text)
	}
	var b strings.Builder
	for _, c := range text {
		b.WriteRune(rune(c))
	}
	return b.String()
}
