package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
)

// Control asks a server that runs on this machine, by its control socket.
type Control struct{ Path string }

// Sessions are the living allocations that the filter chooses, in no order.
func (c Control) Sessions(ctx context.Context, f Filter) (sessions []Session, err error) {
	_, err = c.ask(ctx, http.MethodGet, "/sessions?"+f.query(), &sessions)
	return sessions, err
}

// Kill closes a connection by its number.
func (c Control) Kill(ctx context.Context, connection uint64) (killed int, err error) {
	return c.kill(ctx, "connection", strconv.FormatUint(connection, 10))
}

// KillUser closes all connections on which the user has an allocation.
func (c Control) KillUser(ctx context.Context, user string) (killed int, err error) {
	return c.kill(ctx, "user", user)
}

func (c Control) kill(ctx context.Context, key, value string) (int, error) {
	var reply killReply
	_, err := c.ask(ctx, http.MethodPost, "/kill?"+url.Values{key: {value}}.Encode(), &reply)
	return reply.Killed, err
}

func (c Control) draining(ctx context.Context) (bool, error) {
	var sessions []Session
	header, err := c.ask(ctx, http.MethodGet, "/sessions?user=none", &sessions)
	return header.Get(drainingHeader) == "true", err
}

// maxAnswer bounds what is read of an answer, in bytes: some hundred thousand sessions.
const maxAnswer = 256 << 20

func (c Control) ask(ctx context.Context, method, target string, answer any) (http.Header, error) {
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", c.Path)
	}}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, method, "http://turngate"+target, nil)
	if err != nil {
		return nil, err
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return nil, c.explain(err)
	}
	defer response.Body.Close()
	body := io.LimitReader(response.Body, maxAnswer)
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(body, 1024))
		return nil, fmt.Errorf("%s: %s", c.Path, strings.TrimSpace(string(text)))
	}
	if err := json.NewDecoder(body).Decode(answer); err != nil {
		return nil, fmt.Errorf("%s: the answer: %w", c.Path, err)
	}
	return response.Header, nil
}

// explain says what the admin should look at.
func (c Control) explain(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: does a server run with --control %s?", err, c.Path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: only root and the server's own user may ask", err)
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return fmt.Errorf("%s: the server hung up: only root and its own user may ask", c.Path)
	}
	return fmt.Errorf("%s: %w", c.Path, err)
}
