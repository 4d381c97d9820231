package diagnosis

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/turngate/turngate/kerberos"
	"github.com/turngate/turngate/ntlm"
	"github.com/turngate/turngate/proxyconnect"
)

// An observation is what one mechanism goes through, from its own point of view.
type observation struct {
	name  string
	begun bool
	err   error
	ntlm  *NTLM
	kdc   *KDC
	shown interface{ Evidence() kerberos.Evidence } // the last exchange, where it has any
}

// watch puts the observation between the dialer and the mechanism.
func (o *observation) watch(m *proxyconnect.Mechanism) {
	o.name = m.Name
	if o.name == "" {
		o.name = m.Scheme
	}
	begin := m.Begin
	m.Begin = func(ctx context.Context, r proxyconnect.Request) (proxyconnect.Exchange, error) {
		ex, err := begin(ctx, r)
		o.note(err)
		if err != nil {
			return nil, err
		}
		o.begun = true
		o.shown, _ = ex.(interface{ Evidence() kerberos.Evidence })
		if f, ok := ex.(proxyconnect.Finisher); ok {
			return finishingExchange{observedExchange{ex, o}, f}, nil
		}
		return observedExchange{ex, o}, nil
	}
}

func (o *observation) note(err error) {
	if err == nil {
		return
	}
	o.err = err
	if kdc := kdcOf(err); kdc != nil {
		o.kdc = kdc
	}
}

type observedExchange struct {
	proxyconnect.Exchange
	o *observation
}

func (e observedExchange) Next(ctx context.Context, challenge string) (string, error) {
	if token, err := base64.StdEncoding.DecodeString(challenge); err == nil && len(token) > 0 {
		if c, err := ntlm.ParseChallenge(token); err == nil {
			count := 1
			if e.o.ntlm != nil {
				count += e.o.ntlm.Challenges
			}
			e.o.ntlm = ntlmOf(c, time.Now())
			e.o.ntlm.Challenges = count
		}
	}
	answer, err := e.Exchange.Next(ctx, challenge)
	e.o.note(err)
	return answer, err
}

// finishingExchange is an observedExchange whose mechanism wants the proxy's last word.
type finishingExchange struct {
	observedExchange
	proxyconnect.Finisher
}

// ntlmOf is what a challenge says that came now.
func ntlmOf(c ntlm.Challenge, now time.Time) *NTLM {
	n := &NTLM{
		Domain: clip(c.NetBIOSDomain), Server: clip(c.NetBIOSComputer), DNSDomain: clip(c.DNSDomain), DNSServer: clip(c.DNSComputer),
		Flags: fmt.Sprintf("%#08x", uint32(c.Flags)), FlagNames: strings.Fields(c.Flags.String()), Time: c.Timestamp, SPNEGO: c.SPNEGO,
	}
	if n.Domain == "" {
		n.Domain = clip(c.TargetName)
	}
	if c.ProductMajor != 0 {
		n.Windows = fmt.Sprintf("%d.%d.%d", c.ProductMajor, c.ProductMinor, c.ProductBuild)
	}
	if !c.Timestamp.IsZero() {
		n.OffsetSeconds = c.Timestamp.Sub(now).Round(time.Second).Seconds()
	}
	for _, oddity := range c.Oddities {
		n.Oddities = append(n.Oddities, clip(oddity))
	}
	return n
}

// ticket is what was shown to the proxy under Kerberos, nil if nothing was.
func (o *observation) ticket() *Ticket {
	if o.shown == nil {
		return nil
	}
	v := o.shown.Evidence()
	t := &Ticket{Client: v.Client, Service: v.Service, Etype: v.Etype, KVNO: v.KVNO, Ends: v.Ends}
	for _, reply := range v.Replies {
		t.Replies = append(t.Replies, clip(reply))
	}
	if v.ClockKnown {
		t.OffsetSeconds = v.Clock.Round(time.Second).Seconds()
	}
	return t
}

// noKDC are the words of package kerberos, which exports no type for it; the black-box tests hold them
// fast.
const noKerberos = "does not take Kerberos"

var noKDC = []string{"no KDC of ", "no KDC is known", "lists no kdc for realm"}

// kdcOf finds in an error of a mechanism what a KDC said, or that none did.
func kdcOf(err error) *KDC {
	var refusal *kerberos.KDCError
	if errors.As(err, &refusal) {
		return &KDC{
			Code: refusal.Code, Name: refusal.Name, Address: refusal.KDC, Realm: refusal.Realm,
			Principal: refusal.Principal, Service: refusal.Service, OffsetSeconds: refusal.Offset.Round(time.Second).Seconds(),
		}
	}
	if slices.ContainsFunc(noKDC, func(words string) bool { return strings.Contains(err.Error(), words) }) {
		return &KDC{Unreachable: true}
	}
	return nil
}
