package service

import (
	"crypto/tls"
	"math"
	"net/netip"
	"strings"
	"time"

	"github.com/turngate/turngate/turntcp"
)

// An Identity says whose connection it is. The audit log's records and turngate sessions begin with it.
type Identity struct {
	Connection uint64 `json:"connection"`          // its number, also in the log
	Client     string `json:"client"`              // of the socket: the client's address, or that of the proxy before us
	Announced  string `json:"announced,omitempty"` // the client's, as a PROXY header has it
	Transport  string `json:"transport"`           // tcp or tls
	TLS        string `json:"tls,omitempty"`       // 1.2 or 1.3
	SNI        string `json:"sni,omitempty"`
	ALPN       string `json:"alpn,omitempty"`
	User       string `json:"user,omitempty"`
	Realm      string `json:"realm,omitempty"`
}

func identify(c turntcp.ConnInfo, user, realm string) Identity {
	i := Identity{Connection: c.Connection, Client: c.Client.String(), Transport: c.Transport, SNI: c.ServerName,
		ALPN: c.Protocol, User: user, Realm: realm}
	if c.Announced.IsValid() {
		i.Announced = c.Announced.String()
	}
	if c.TLSVersion != 0 {
		i.TLS = strings.TrimPrefix(tls.VersionName(c.TLSVersion), "TLS ")
	}
	return i
}

// A Session is a living allocation.
type Session struct {
	Identity
	Relay         string    `json:"relay"`
	RelayProtocol string    `json:"relay_protocol"` // udp, or tcp (RFC 6062)
	Created       time.Time `json:"created"`
	Usage
}

// A Usage is what an allocation has relayed.
type Usage struct {
	Seconds float64 `json:"seconds"` // since it was created

	Up    Traffic           `json:"up"`              // from the client to peers
	Down  Traffic           `json:"down"`            // given to the client's connection
	Drops map[string]uint64 `json:"drops,omitempty"` // packets, by reason; those that there were
	Peers []PeerUsage       `json:"peers,omitempty"`
	TCP   *ClientTCP        `json:"tcp,omitempty"` // nil where the system does not tell
}

// Traffic is packets and bytes of payload.
type Traffic struct {
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}

// A PeerUsage is what was sent to a peer, and what came from it.
type PeerUsage struct {
	Peer string  `json:"peer"` // address and port, or the address alone where no port was named
	Up   Traffic `json:"up"`
	Down Traffic `json:"down"`
}

// ClientTCP is what the kernel knows of the client's connection, up to the proxy if it comes by one.
type ClientTCP struct {
	RTT         float64 `json:"rtt_ms"`
	RTTVariance float64 `json:"rttvar_ms"`
	Retransmits uint64  `json:"retransmits"` // segments
}

func newSession(a turntcp.AllocationStats, realm string, now time.Time) Session {
	return Session{identify(a.ConnInfo, a.User, realm), a.Relay.String(), relayProtocol(a), a.Created.UTC().Truncate(time.Millisecond), usage(a, now)}
}

func relayProtocol(a turntcp.AllocationStats) string {
	if a.TCP {
		return "tcp"
	}
	return "udp"
}

func usage(a turntcp.AllocationStats, now time.Time) Usage {
	u := Usage{Seconds: round3(now.Sub(a.Created).Seconds()), Up: Traffic(a.Up), Down: Traffic(a.Down)}
	for reason, n := range dropReasons(a.Drops) {
		if n > 0 {
			if u.Drops == nil {
				u.Drops = make(map[string]uint64)
			}
			u.Drops[reason] = n
		}
	}
	for _, p := range a.Peers {
		u.Peers = append(u.Peers, PeerUsage{peerName(p.Peer), Traffic(p.Up), Traffic(p.Down)})
	}
	if t := a.TCPInfo; t != (turntcp.TCPInfo{}) {
		u.TCP = &ClientTCP{milliseconds(t.RTT), milliseconds(t.RTTVariance), t.Retransmits}
	}
	return u
}

// peerName is the address alone where the port is not known, or others.
func peerName(p netip.AddrPort) string {
	switch {
	case !p.IsValid():
		return "others"
	case p.Port() == 0:
		return p.Addr().String()
	}
	return p.String()
}

func milliseconds(d time.Duration) float64 { return round3(d.Seconds() * 1000) }

func round3(v float64) float64 { return math.Round(v*1000) / 1000 }
