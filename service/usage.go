package service

import (
	"log/slog"

	"github.com/turngate/turngate/turntcp"
)

// usage writes what an allocation has relayed into the audit log.
func (l *logs) usage(a turntcp.AllocationStats) {
	d := a.Drops
	dropped := d.NoPermission + d.NoChannel + d.Forbidden + d.Malformed + d.Unsent + d.TooOld + d.QueueFull + d.TooFast
	l.accounts.Info("usage", "connection", a.Connection, "client", a.Client, "user", a.User, "relay", a.Relay, "created", a.Created,
		traffic("up", a.Up), traffic("down", a.Down), "dropped", dropped)
}

func traffic(key string, t turntcp.Traffic) slog.Attr {
	return slog.Group(key, "packets", t.Packets, "bytes", t.Bytes)
}
