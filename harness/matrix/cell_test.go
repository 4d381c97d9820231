package matrix

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/turngate/turngate/proxyconnect"
	"github.com/turngate/turngate/turntcp"
)

func TestMatch(t *testing.T) {
	const name = "ntlm/http-proxy/turn/udp/squid/wrong-password"
	tests := []struct {
		pattern string
		want    bool
	}{
		{"ntlm/http-proxy/turn/udp/squid/wrong-password", true},
		{"ntlm/http-proxy", true},
		{"ntlm/", true},
		{"ntlm/*/turn", true},
		{"*/*/*/*/squid", true},
		{"squid", true},
		{"wrong-*", true},
		{"nt", false},
		{"ntlm/https-proxy", false},
		{"http-proxy/turn", false},
		{"ntlm/http-proxy/turn/udp/squid/wrong-password/x", false},
		{"[", false},
	}
	for _, tt := range tests {
		if got := Match(tt.pattern, name); got != tt.want {
			t.Errorf("%q: got %v, want %v", tt.pattern, got, tt.want)
		}
	}
}

func TestClassify(t *testing.T) {
	at := func(stage proxyconnect.Stage, err error) error {
		return &proxyconnect.ConnectError{Stage: stage, Err: err}
	}
	tests := []struct {
		err  error
		want string
	}{
		{nil, "through"},
		{at(proxyconnect.StageAuthenticate, proxyconnect.ErrRejected), "rejected"},
		{at(proxyconnect.StageConnect, proxyconnect.ErrRefused), "refused"},
		{at(proxyconnect.StageAuthenticate, io.ErrUnexpectedEOF), "closed"},
		{at(proxyconnect.StageDial, errors.New("no route")), "unreachable"},
		{at(proxyconnect.StageDial, context.DeadlineExceeded), "timeout"},
		{at(proxyconnect.StageTLS, errors.New("unknown authority")), "tls-proxy"},
		{at(proxyconnect.StageConfig, errors.New("x")), "configuration"},
		{at(proxyconnect.StageAuthenticate, errors.New("x")), "proxy-error"},
		{errors.New("connection refused"), "unreachable"},
		{stageError{phaseAllocate, &turntcp.Error{Code: 401}}, "turn-rejected"},
		{stageError{phaseAllocate, &turntcp.Error{Code: 486}}, "turn-error"},
		{stageError{phaseAllocate, io.EOF}, "tunnel-closed"},
		{stageError{phaseTURNTLS, errors.New("unknown authority")}, "tls-tunnel"},
		{stageError{"echo", context.DeadlineExceeded}, "timeout"},
	}
	for _, tt := range tests {
		if got := classify(tt.err); got != tt.want {
			t.Errorf("%v: got %s, want %s", tt.err, got, tt.want)
		}
	}
}

func TestSameUser(t *testing.T) {
	for logged, want := range map[string]bool{
		"alice": true, "alice@LAB.TEST": true, `PROXYSRV\alice`: true, `PROXYSRV\\alice`: true, "ALICE": true,
		"alicia": false, "": false, `alice\bob`: false,
	} {
		if got := sameUser(logged, "alice"); got != want {
			t.Errorf("%q: got %v, want %v", logged, got, want)
		}
	}
}
