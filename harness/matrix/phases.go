package matrix

import (
	"crypto/tls"
	"net"
	"time"

	"github.com/turngate/turngate/harness/measure"
	"github.com/turngate/turngate/harness/report"
	"github.com/turngate/turngate/proxyconnect"
)

// The phases of a set-up, in their order.
const (
	phaseTCP      = "tcp"          // TCP connections, to the proxy or direct
	phaseProxyTLS = "tls-proxy"    // TLS with an https proxy
	phaseAuth     = "credentials"  // computing credentials, a KDC's answers included
	phaseConnect  = "connect"      // from each CONNECT to its answer
	phaseTURNTLS  = "tls-turn"     // TLS with the TURN server through the tunnel
	phaseAllocate = "allocate"     // Allocate with its 401
	phaseChannel  = "channel-bind" // ChannelBind
)

// A stopwatch adds up the time of each phase. It belongs to one goroutine.
type stopwatch struct {
	now   func() time.Time
	order []string
	spent map[string]time.Duration
	begun time.Time
	trace proxyconnect.Trace // its hooks start and stop us
}

func newStopwatch(now func() time.Time) *stopwatch {
	s := &stopwatch{now: now, spent: make(map[string]time.Duration)}
	s.trace = proxyconnect.Trace{
		DialStart:        func(string) { s.start() },
		DialDone:         func(net.Conn, error) { s.stop(phaseTCP) },
		TLSStart:         func() { s.start() },
		TLSDone:          func(tls.ConnectionState, error) { s.stop(phaseProxyTLS) },
		CredentialsStart: func(string) { s.start() },
		CredentialsDone:  func(string, error) { s.stop(phaseAuth) },
		ConnectStart:     func(string) { s.start() },
		ResponseReceived: func(proxyconnect.Response) { s.stop(phaseConnect) },
	}
	return s
}

func (s *stopwatch) start() { s.begun = s.now() }

func (s *stopwatch) stop(phase string) {
	if _, known := s.spent[phase]; !known {
		s.order = append(s.order, phase)
	}
	s.spent[phase] += s.now().Sub(s.begun)
}

func (s *stopwatch) report() (list []report.Phase) {
	for _, phase := range s.order {
		list = append(list, report.Phase{Name: phase, Milliseconds: measure.Milliseconds(s.spent[phase])})
	}
	return list
}
