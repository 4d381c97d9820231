package service

import (
	"net"
	"os"
	"strings"
)

// notify tells systemd (Type=notify) the state of the service, where it wants to know: sd_notify(3).
func (s *service) notify(state string) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	if rest, abstract := strings.CutPrefix(path, "@"); abstract {
		path = "\x00" + rest
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		s.log.Warn("tell systemd", "state", state, "error", err)
		return
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(state)); err != nil {
		s.log.Warn("tell systemd", "state", state, "error", err)
	}
}
