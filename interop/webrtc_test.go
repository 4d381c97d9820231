package interop

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"github.com/turngate/turngate/harness/credentials"
	"github.com/turngate/turngate/harness/lab"
	"github.com/turngate/turngate/proxyconnect"
)

// callTime bounds a whole call. It takes about half a second.
const callTime = 30 * time.Second

// TestWebRTC has two peers of pion/webrtc call each other with nothing but relay candidates, and the
// way to the TURN server leads through an authenticating proxy. The proxy's record must say whose
// tunnels carried the call: one for each peer.
func TestWebRTC(t *testing.T) {
	for _, auth := range []string{lab.SchemeBasic, lab.SchemeDigest, lab.SchemeNTLM, lab.SchemeNegoNTLM, lab.SchemeKerberos} {
		for _, proxy := range []string{"http", "https"} {
			for _, scheme := range []string{"turn", "turns"} {
				t.Run(fmt.Sprintf("%s/%s-proxy/%s", auth, proxy, scheme), func(t *testing.T) {
					testCall(t, auth, proxy == "https", scheme == "turns")
				})
			}
		}
	}
}

func testCall(t *testing.T, auth string, secureProxy, turns bool) {
	l, err := lab.New(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	p := proxyOf(t, l, auth, secureProxy)
	w := &office{lab: l, ice: iceDialer(t, l, p), turns: turns}
	t.Run("call", w.call)
	if err := l.Close(); err != nil { // the proxies write a tunnel down when it has ended
		t.Errorf("closing the lab: %v", err)
	}
	checkTunnels(t, p, l.User.Name, 2)
}

func proxyOf(t *testing.T, l *lab.Lab, scheme string, secure bool) lab.Proxy {
	i := slices.IndexFunc(l.Proxies, func(p lab.Proxy) bool { return p.Scheme == scheme && p.TLS == secure })
	if i < 0 {
		t.Fatalf("the lab has no %s proxy with TLS %v", scheme, secure)
	}
	return l.Proxies[i]
}

func iceDialer(t *testing.T, l *lab.Lab, p lab.Proxy) proxyconnect.ICE {
	d := &proxyconnect.Dialer{Proxy: p.URL, TLS: l.ClientTLS, ALPN: []string{"webrtc"}}
	spec := credentials.Spec{
		Auth: p.Scheme, User: l.User.Name, Password: credentials.Secret(l.User.Password),
		Realm: l.Realm, Krb5Conf: l.Krb5Conf,
	}
	if err := spec.Apply(d); err != nil {
		t.Fatal(err)
	}
	return proxyconnect.ICE{Dialer: d, TLS: func(address string) *tls.Config {
		if address == l.TURN.TLS {
			return l.ClientTLS
		}
		return nil
	}}
}

// checkTunnels compares the proxy's record with the one user and the number of tunnels expected. A
// Kerberos proxy writes the realm down, too.
func checkTunnels(t *testing.T, p lab.Proxy, user string, want int) {
	t.Helper()
	got, err := p.Tunnels()
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range got {
		if name, _, _ := strings.Cut(u, "@"); name != user {
			t.Errorf("the proxy opened a tunnel for %q, want only those of %q", u, user)
		}
	}
	if len(got) != want {
		t.Errorf("the proxy opened tunnels for %q, want %d of %s", got, want, user)
	}
	failures, err := p.Failures()
	if failures != 0 || err != nil {
		t.Errorf("failed logins at the proxy: %d, %v; want none", failures, err)
	}
}

// An office is where both peers sit: behind the proxy.
type office struct {
	lab   *lab.Lab
	ice   proxyconnect.ICE
	turns bool
}

func (o *office) call(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), callTime)
	defer cancel()
	caller, callee := o.peer(t), o.peer(t)
	callee.OnDataChannel(func(d *webrtc.DataChannel) {
		d.OnMessage(func(m webrtc.DataChannelMessage) {
			if err := d.SendText("echo of " + string(m.Data)); err != nil {
				t.Errorf("sending the echo: %v", err)
			}
		})
	})
	channel, err := caller.CreateDataChannel("talk", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer := make(chan string, 1)
	channel.OnMessage(func(m webrtc.DataChannelMessage) { answer <- string(m.Data) })
	channel.OnOpen(func() {
		if err := channel.SendText("hello"); err != nil {
			t.Errorf("sending: %v", err)
		}
	})
	signal(ctx, t, caller, callee)
	select {
	case got := <-answer:
		if want := "echo of hello"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	case <-ctx.Done():
		t.Fatalf("no echo within %v; ICE of the caller: %v, of the callee: %v", callTime,
			caller.ICEConnectionState(), callee.ICEConnectionState())
	}
	o.checkPair(t, caller)
	o.checkPair(t, callee)
}

// peer returns a connection that takes the relay and nothing else.
func (o *office) peer(t *testing.T) *webrtc.PeerConnection {
	var settings webrtc.SettingEngine
	settings.SetICEProxyDialer(o.ice)
	settings.SetRelayAcceptanceMinWait(0) // no better pair can come: do not wait for it
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(settings)).NewPeerConnection(webrtc.Configuration{
		ICETransportPolicy: webrtc.ICETransportPolicyRelay,
		ICEServers: []webrtc.ICEServer{{
			URLs:       []string{o.url()},
			Username:   o.lab.TURN.User.Name,
			Credential: o.lab.TURN.User.Password,
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pc.GracefulClose(); err != nil {
			t.Errorf("closing a peer: %v", err)
		}
	})
	return pc
}

func (o *office) url() string {
	if o.turns {
		return "turns:" + o.lab.TURN.TLS + "?transport=tcp"
	}
	return "turn:" + o.lab.TURN.TCP + "?transport=tcp"
}

// checkPair reads in the statistics of a peer that it talks from its relay to the other's.
func (o *office) checkPair(t *testing.T, pc *webrtc.PeerConnection) {
	t.Helper()
	pair, err := pc.SCTP().Transport().ICETransport().GetSelectedCandidatePair()
	if err != nil || pair == nil {
		t.Errorf("no candidate pair is selected: %v", err)
		return
	}
	if pair.Local.Typ != webrtc.ICECandidateTypeRelay {
		t.Errorf("the selected local candidate is %v, want relay", pair.Local)
	}
}

// signal hands offer and answer over, each with all its candidates.
func signal(ctx context.Context, t *testing.T, caller, callee *webrtc.PeerConnection) {
	t.Helper()
	offer, err := caller.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	offer = gathered(ctx, t, caller, offer)
	if err := callee.SetRemoteDescription(offer); err != nil {
		t.Fatal(err)
	}
	answer, err := callee.CreateAnswer(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := caller.SetRemoteDescription(gathered(ctx, t, callee, answer)); err != nil {
		t.Fatal(err)
	}
}

func gathered(ctx context.Context, t *testing.T, pc *webrtc.PeerConnection, d webrtc.SessionDescription) webrtc.SessionDescription {
	t.Helper()
	done := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(d); err != nil {
		t.Fatal(err)
	}
	select {
	case <-done:
	case <-ctx.Done():
		t.Fatal("ICE did not finish gathering")
	}
	local := *pc.LocalDescription()
	if !strings.Contains(local.SDP, " typ relay ") {
		t.Fatalf("no relay candidate was gathered:\n%s", local.SDP)
	}
	return local
}
