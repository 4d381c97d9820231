package service

import (
	"log/slog"
	"time"

	"github.com/turngate/turngate/turntcp"
)

// liveEvery is how often the audit log says what living allocations have relayed, so that a crash, or
// a call of hours, leaves a trace.
const liveEvery = 5 * time.Minute

func (s *service) auditLive() {
	if s.logs.accounts != nil {
		s.server.Each(func(a turntcp.AllocationStats) { s.logs.usage("live", a) })
	}
}

// usage writes what an allocation has relayed into the audit log: "usage" when it has ended, "live"
// while it is there.
func (l *logs) usage(event string, a turntcp.AllocationStats) {
	d := a.Drops
	dropped := d.NoPermission + d.NoChannel + d.Forbidden + d.Malformed + d.Unsent + d.TooOld + d.QueueFull + d.TooFast
	l.accounts.Info(event, "connection", a.Connection, "client", a.Client, "user", a.User, "relay", a.Relay, "created", a.Created,
		traffic("up", a.Up), traffic("down", a.Down), "dropped", dropped)
}

func traffic(key string, t turntcp.Traffic) slog.Attr {
	return slog.Group(key, "packets", t.Packets, "bytes", t.Bytes)
}
