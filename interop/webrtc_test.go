package interop

import (
	"context"
	"crypto/tls"
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
// way to the TURN server leads through an authenticating proxy. Each proxy's record must say whose
// tunnels carried the calls: one for each peer of each call.
func TestWebRTC(t *testing.T) {
	l, err := lab.New(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	schemes := []string{lab.SchemeBasic, lab.SchemeDigest, lab.SchemeNTLM, lab.SchemeNegoNTLM, lab.SchemeKerberos}
	proxies := slices.DeleteFunc(slices.Clone(l.Proxies), func(p lab.Proxy) bool { return !slices.Contains(schemes, p.Scheme) })
	if got, want := len(proxies), 2*len(schemes); got != want {
		t.Fatalf("the lab has %d proxies for %v, want %d", got, schemes, want)
	}
	for _, p := range proxies {
		o := &office{lab: l, ice: iceDialer(t, l, p)}
		t.Run(nameOf(p)+"/turn", func(t *testing.T) { o.call(t, "turn:"+l.TURN.TCP) })
		t.Run(nameOf(p)+"/turns", func(t *testing.T) { o.call(t, "turns:"+l.TURN.TLS) })
	}
	if err := l.Close(); err != nil { // the proxies write a tunnel down when it has ended
		t.Errorf("closing the lab: %v", err)
	}
	for _, p := range proxies {
		checkTunnels(t, p, l.User.Name, 4)
	}
}

func nameOf(p lab.Proxy) string {
	if p.TLS {
		return p.Scheme + "/https-proxy"
	}
	return p.Scheme + "/http-proxy"
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
			t.Errorf("%s opened a tunnel for %q, want only those of %q", nameOf(p), u, user)
		}
	}
	if len(got) != want {
		t.Errorf("%s opened tunnels for %q, want %d of %s", nameOf(p), got, want, user)
	}
	failures, err := p.Failures()
	if failures != 0 || err != nil {
		t.Errorf("failed logins at %s: %d, %v; want none", nameOf(p), failures, err)
	}
}

// An office is where both peers sit: behind the proxy.
type office struct {
	lab *lab.Lab
	ice proxyconnect.ICE
}

// call has one peer of a TURN server talk to another.
func (o *office) call(t *testing.T, server string) {
	ctx, cancel := context.WithTimeout(t.Context(), callTime)
	defer cancel()
	caller, callee := o.peer(t, server), o.peer(t, server)
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
	checkPair(t, caller)
	checkPair(t, callee)
}

// peer returns a connection that takes the relay and nothing else.
func (o *office) peer(t *testing.T, server string) *webrtc.PeerConnection {
	var settings webrtc.SettingEngine
	settings.SetICEProxyDialer(o.ice)
	settings.SetRelayAcceptanceMinWait(0) // no better pair can come: do not wait for it
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(settings)).NewPeerConnection(webrtc.Configuration{
		ICETransportPolicy: webrtc.ICETransportPolicyRelay,
		ICEServers: []webrtc.ICEServer{{
			URLs:       []string{server + "?transport=tcp"},
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

// checkPair asks a peer whether it talks from its relay to the other's.
func checkPair(t *testing.T, pc *webrtc.PeerConnection) {
	t.Helper()
	pair, err := pc.SCTP().Transport().ICETransport().GetSelectedCandidatePair()
	if err != nil || pair == nil {
		t.Errorf("no candidate pair is selected: %v", err)
		return
	}
	if relay := webrtc.ICECandidateTypeRelay; pair.Local.Typ != relay || pair.Remote.Typ != relay {
		t.Errorf("the selected pair is %v, want two relays", pair)
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
