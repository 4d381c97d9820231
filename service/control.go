package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/net/netutil"

	"github.com/turngate/turngate/turntcp"
)

// The control socket is HTTP on a unix socket, for turngate sessions on the same machine:
//
//	GET /sessions?user=&client=&relay=&peer=   a JSON list of Session
//	POST /kill?connection= or ?user=           {"killed": n}
//
// Only root and the server's own user may connect.

// Bounds of the control socket.
const (
	maxControls    = 16 // connections at a time
	controlTimeout = 10 * time.Second
)

// A control serves the control socket.
type control struct {
	server http.Server
	path   string
	made   os.FileInfo // the socket, as it was made
	done   chan struct{}
}

// startControl listens where the configuration says; nil for nowhere.
func (s *service) startControl() (*control, error) {
	path := s.config.Control
	if path == "" {
		return nil, nil
	}
	listener, err := listenPrivately(path)
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	c := &control{path: path, done: make(chan struct{})}
	if c.made, err = os.Lstat(path); err != nil {
		return nil, errors.Join(fmt.Errorf("control: %w", err), listener.Close())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sessions", s.serveSessions)
	mux.HandleFunc("POST /kill", s.serveKill)
	c.server = http.Server{
		Handler:     http.MaxBytesHandler(http.TimeoutHandler(mux, controlTimeout, "it takes too long"), 0),
		ReadTimeout: controlTimeout, WriteTimeout: 2 * controlTimeout, IdleTimeout: controlTimeout, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, nc net.Conn) context.Context {
			return context.WithValue(ctx, uidKey{}, nc.RemoteAddr())
		},
	}
	go func() {
		defer close(c.done)
		guarded := netutil.LimitListener(guard{listener, s.log}, maxControls)
		if err := c.server.Serve(guarded); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("control", "error", err)
		}
	}()
	s.log.Info("control", "socket", path)
	return c, nil
}

// uidKey is of the context's value that says which user asks.
type uidKey struct{}

// uid is a user as the address of a control connection.
type uid uint32

func (uid) Network() string  { return "unix" }
func (u uid) String() string { return "uid " + strconv.FormatUint(uint64(u), 10) }

// A guard lets in only root and the server's own user.
type guard struct {
	net.Listener
	log *slog.Logger
}

func (g guard) Accept() (net.Conn, error) {
	for {
		nc, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		user, err := peerUID(nc)
		if err == nil && (user == 0 || int(user) == os.Geteuid()) {
			return identified{nc, user}, nil
		}
		nc.Close()
		if err == nil {
			err = fmt.Errorf("%v is neither root nor the server's own user", user)
		}
		g.log.Warn("control: connection refused", "error", err)
	}
}

// identified is a connection of which it is known whose it is.
type identified struct {
	net.Conn
	user uid
}

func (i identified) RemoteAddr() net.Addr { return i.user }

// listenPrivately makes the socket under another name, because a server that drains may have it still:
// its successor takes the name from it.
func listenPrivately(path string) (net.Listener, error) {
	if err := privateDirectory(filepath.Dir(path)); err != nil {
		return nil, err
	}
	if err := free(path); err != nil {
		return nil, err
	}
	own := fmt.Sprintf("%s.%d", path, os.Getpid())
	if err := os.Remove(own); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: own, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(own, 0o600), os.Rename(own, path)); err != nil {
		return nil, errors.Join(err, l.Close(), os.Remove(own))
	}
	return l, nil
}

// privateDirectory makes the directory if its parent is there, and wants it to be nobody else's: who
// can write there could put another socket in the place of ours.
func privateDirectory(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
		return err
	}
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is no directory", dir)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%s must be a directory of the server's alone: chmod 700 (it has mode %#o)", dir, info.Mode().Perm())
	}
	return ownedByUs(info)
}

// free removes the socket of a server that is no more. One that serves is in the way, unless it drains.
func free(path string) error {
	info, err := os.Lstat(path)
	switch {
	case os.IsNotExist(err):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != os.ModeSocket:
		return fmt.Errorf("%s is there and no socket", path)
	}
	ctx, cancel := context.WithTimeout(context.Background(), controlTimeout)
	defer cancel()
	draining, err := (Control{Path: path}).draining(ctx)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil // renaming over it removes it
	case err != nil || !draining:
		return errors.Join(fmt.Errorf("%s: another server serves it", path), err)
	}
	return nil
}

// close ends the control socket and removes it, unless a successor's is in its place.
func (c *control) close() {
	if c == nil {
		return
	}
	if now, err := os.Lstat(c.path); err == nil && os.SameFile(now, c.made) {
		_ = os.Remove(c.path) // what cannot be removed, the next server replaces
	}
	ctx, cancel := context.WithTimeout(context.Background(), controlTimeout)
	defer cancel()
	if c.server.Shutdown(ctx) != nil {
		c.server.Close()
	}
	<-c.done
}

// drainingHeader is in every response of a server that drains.
const drainingHeader = "Turngate-Draining"

func (s *service) serveSessions(w http.ResponseWriter, r *http.Request) {
	f, err := parseFilter(r.URL.RawQuery)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	sessions := []Session{}
	now := time.Now()
	s.server.Each(func(a turntcp.AllocationStats) {
		if f.matches(a) {
			sessions = append(sessions, newSession(a, s.config.Realm, now))
		}
	})
	s.answer(w, sessions)
}

func (s *service) serveKill(w http.ResponseWriter, r *http.Request) {
	f, err := parseKill(r.URL.RawQuery)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	who := make(map[uint64]Identity)
	s.server.Each(func(a turntcp.AllocationStats) {
		if a.Connection == f.connection || f.user != "" && a.User == f.user {
			who[a.Connection] = identify(a.ConnInfo, a.User, s.config.Realm)
		}
	})
	if f.connection != 0 && who[f.connection] == (Identity{}) {
		who[f.connection] = Identity{Connection: f.connection} // without an allocation
	}
	by, _ := r.Context().Value(uidKey{}).(net.Addr)
	killed := 0
	for connection, id := range who {
		if s.server.Kill(connection) {
			killed++
			s.log.Warn("killed", "connection", connection, "client", id.Client, "user", id.User, "by", by.String())
			s.logs.audit.killed(id, by.String())
		}
	}
	s.answer(w, killReply{killed})
}

type killReply struct {
	Killed int `json:"killed"`
}

func (s *service) answer(w http.ResponseWriter, what any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set(drainingHeader, strconv.FormatBool(s.draining.Load()))
	_ = json.NewEncoder(w).Encode(what) // who asked has gone
}
