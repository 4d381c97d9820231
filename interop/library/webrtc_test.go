package library

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/pion/webrtc/v4"

	"github.com/turngate/turngate/harness/lab"
	"github.com/turngate/turngate/proxyconnect"
)

// newWebRTC returns an API whose peer connections reach their TURN servers through the proxy. secure
// are the servers of turns: URLs, as "turn.example.com:443"; nil roots are the system's. failed is told
// why a tunnel did not come about; pion keeps it to its own log.
func newWebRTC(through *proxyconnect.Dialer, roots *x509.CertPool, secure []string, failed func(error)) *webrtc.API {
	var settings webrtc.SettingEngine
	settings.SetICEProxyDialer(proxyconnect.ICE{
		Dialer: through,
		Failed: failed,
		TLS: func(address string) *tls.Config {
			if !slices.Contains(secure, address) {
				return nil
			}
			return &tls.Config{RootCAs: roots}
		},
	})
	return webrtc.NewAPI(webrtc.WithSettingEngine(settings))
}

func Example_webRTC() {
	for _, password := range []string{corp.User.Password, "wrong"} {
		api := newWebRTC(&proxyconnect.Dialer{
			Proxy:      proxyURL(lab.SchemeNTLM),
			Mechanisms: []proxyconnect.Mechanism{ntlmMechanism("NTLM", corp.User.Name, password)},
			ALPN:       []string{"webrtc"}, // RFC 8835 asks for it
		}, corp.ClientTLS.RootCAs, []string{corp.TURN.TLS}, func(err error) { fmt.Println(advice(err)) })
		if err := gather(api); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// relay candidate
	// ask for another password; this one might lock the account
}

// gather prints the kinds of the candidates that a peer connection finds.
func gather(api *webrtc.API) error {
	pc, err := api.NewPeerConnection(webrtc.Configuration{
		ICETransportPolicy: webrtc.ICETransportPolicyRelay,
		ICEServers: []webrtc.ICEServer{{
			URLs:       []string{"turns:" + corp.TURN.TLS + "?transport=tcp"},
			Username:   corp.TURN.User.Name,
			Credential: corp.TURN.User.Password,
		}},
	})
	if err != nil {
		return err
	}
	pc.OnICECandidate(func(c *webrtc.ICECandidate) {
		if c != nil {
			fmt.Println(c.Typ, "candidate")
		}
	})
	done := webrtc.GatheringCompletePromise(pc)
	if _, err := pc.CreateDataChannel("talk", nil); err != nil {
		return errors.Join(err, pc.GracefulClose())
	}
	offer, err := pc.CreateOffer(nil)
	if err == nil {
		err = pc.SetLocalDescription(offer)
	}
	if err == nil {
		<-done
	}
	return errors.Join(err, pc.GracefulClose())
}
