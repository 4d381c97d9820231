package diagnosis

import "time"

// Format is the version of Report as JSON: within one, fields are only added.
const Format = 1

// A Report is what was seen on the path. It holds no secret: of header fields only the ones that name a
// product, of redirects only the host.
type Report struct {
	Format      int       `json:"format"`
	Started     time.Time `json:"started"`
	Proxy       string    `json:"proxy"`  // URL; "" for none
	Target      string    `json:"target"` // host:port given to CONNECT
	Secure      bool      `json:"turns"`  // TLS through the tunnel
	Interrupted bool      `json:"interrupted,omitempty"`

	Route     *Route     `json:"route,omitempty"` // who names the proxy
	Stages    []Stage    `json:"stages"`          // in their order, those not reached too
	ProxyTLS  *TLS       `json:"proxy_tls,omitempty"`
	Answer    *Answer    `json:"answer,omitempty"` // to CONNECT without credentials; nil where that opened a tunnel
	Probes    []Probe    `json:"probes,omitempty"` // after a refusal
	Requests  []Request  `json:"requests,omitempty"`
	Attempts  []Attempt  `json:"attempts,omitempty"`
	Refusal   *Answer    `json:"refusal,omitempty"`     // the proxy's last answer, where credentials did not lead to a tunnel
	First     FirstBytes `json:"first_bytes,omitempty"` // what came first through the tunnel
	TunnelTLS *TLS       `json:"tunnel_tls,omitempty"`
	Pinned    string     `json:"pinned_key,omitempty"` // what the server's key was to be
	TURNCode  int        `json:"turn_code,omitempty"`  // error code of the TURN server
	Media     *Media     `json:"media,omitempty"`
	Quality   *Quality   `json:"quality,omitempty"`
	Bursts    *Bursts    `json:"bursts,omitempty"`
	Rate      *Rate      `json:"throughput,omitempty"`
	MaxPacket int        `json:"max_packet_bytes,omitempty"`
	Endurance *Endurance `json:"endurance,omitempty"`
	Policy    []Policy   `json:"policy,omitempty"` // on request
	Direct    *Direct    `json:"direct,omitempty"` // beside: the same server without the proxy
}

// The names of the stages.
const (
	StageFind      = "find proxy" // of flag, environment, PAC file or WPAD
	StageResolve   = "resolve proxy"
	StageTCP       = "TCP to proxy"
	StageProxyTLS  = "TLS to proxy"
	StageConnect   = "CONNECT"
	StageAuth      = "authentication"
	StageTunnel    = "tunnel"
	StageTURNTLS   = "TLS in tunnel"
	StageBinding   = "STUN binding"
	StageAllocate  = "allocation"
	StageMedia     = "media"
	StageQuality   = "quality"
	StageBursts    = "bursts"
	StageRate      = "throughput"
	StageSizes     = "packet sizes"
	StageReconnect = "reconnect" // on request
	StageIdle      = "idle"      // on request
	StageLifetime  = "lifetime"  // on request
)

// An Outcome is how a stage or an attempt ended.
type Outcome string

// The outcomes of a stage.
const (
	OK         Outcome = "ok"
	Failed     Outcome = "failed"
	Skipped    Outcome = "skipped"     // not needed
	NotReached Outcome = "not reached" // another one failed before
)

// A Stage is one step on the way.
type Stage struct {
	Name    string  `json:"name"`
	Outcome Outcome `json:"outcome"`
	// Milliseconds is what the stage took; that of the tunnel is the last request's share of the
	// stage before.
	Milliseconds float64 `json:"ms"`
	Detail       string  `json:"detail,omitempty"` // evidence, or why it was skipped
	Kind         Kind    `json:"kind,omitempty"`   // of a failure
	Error        string  `json:"error,omitempty"`
}

// Stage returns a stage by its name, the zero Stage if it is not there.
func (r *Report) Stage(name string) Stage {
	for _, s := range r.Stages {
		if s.Name == name {
			return s
		}
	}
	return Stage{}
}

// Failure returns the first failed stage.
func (r *Report) Failure() (Stage, bool) {
	for _, s := range r.Stages {
		if s.Outcome == Failed {
			return s, true
		}
	}
	return Stage{}, false
}

// Through tells whether a datagram came back.
func (r *Report) Through() bool { return r.Stage(StageMedia).Outcome == OK }

// TLS is one handshake's end, as far as it came.
type TLS struct {
	Version    string    `json:"version,omitempty"`
	Subject    string    `json:"subject,omitempty"`
	Issuer     string    `json:"issuer,omitempty"`
	Names      []string  `json:"names,omitempty"` // of the certificate; at most 8
	NotAfter   time.Time `json:"not_after,omitzero"`
	SHA256     string    `json:"sha256,omitempty"`      // of the certificate
	Key        string    `json:"key,omitempty"`         // a Pin
	Chain      []string  `json:"chain,omitempty"`       // subjects of the certificates that came with it; at most 4
	ServerName string    `json:"server_name,omitempty"` // asked for
	ALPN       string    `json:"alpn,omitempty"`        // agreed upon
}

// An Answer is an HTTP response of the proxy.
type Answer struct {
	Status   int      `json:"status"`
	Reason   string   `json:"reason,omitempty"`
	Offered  []string `json:"offered,omitempty"`  // schemes
	Product  string   `json:"product,omitempty"`  // Squid, Apache, ...
	Evidence string   `json:"evidence,omitempty"` // the header field that says so
	Squid    string   `json:"squid_error,omitempty"`
	HTML     bool     `json:"html,omitempty"`
	Location string   `json:"location,omitempty"` // host of a redirect
}

// A Probe is another CONNECT that differs in one thing. It has credentials only where the proxy has taken
// them before.
type Probe struct {
	Change string `json:"change"`        // ProbePort, ...
	Status int    `json:"status"`        // 0: none came
	TLS    bool   `json:"tls,omitempty"` // ProbeTLS: the port speaks TLS
}

// What a Probe changes.
const (
	ProbePort      = "port 443"
	ProbeUserAgent = "with User-Agent"
	ProbeALPN      = "without ALPN"
	ProbeName      = "by name"               // instead of by address
	ProbeTLS       = "with TLS to the proxy" // after an http proxy has closed the connection
)

// A Request is one CONNECT of the authentication.
type Request struct {
	Mechanism string   `json:"mechanism,omitempty"` // "" without credentials
	Status    int      `json:"status"`              // 0: no answer
	Reason    string   `json:"reason,omitempty"`
	Offered   []string `json:"offered,omitempty"`
	KeepAlive bool     `json:"keep_alive"`
}

// An Attempt is what became of one mechanism.
type Attempt struct {
	Mechanism string  `json:"mechanism"`
	Outcome   Outcome `json:"outcome"`
	Requests  int     `json:"requests"` // with its credentials
	Error     string  `json:"error,omitempty"`
	KDC       *KDC    `json:"kdc,omitempty"`
	NTLM      *NTLM   `json:"ntlm,omitempty"`
	Ticket    *Ticket `json:"ticket,omitempty"`
}

// The outcomes of an Attempt besides Failed.
const (
	Accepted      Outcome = "accepted"
	Rejected      Outcome = "rejected"
	TicketRefused Outcome = "ticket refused"
	NoCredential  Outcome = "no credential"
	Cleartext     Outcome = "would be cleartext"
	NotTried      Outcome = "not tried"
	NotOffered    Outcome = "not offered"
)

// KDC is a Kerberos server's refusal, or that none answered.
type KDC struct {
	Unreachable   bool    `json:"unreachable,omitempty"`
	Code          int32   `json:"code,omitempty"` // RFC 4120 section 7.5.9
	Name          string  `json:"name,omitempty"`
	Address       string  `json:"address,omitempty"`
	Realm         string  `json:"realm,omitempty"`
	Principal     string  `json:"principal,omitempty"`
	Service       string  `json:"service,omitempty"`
	OffsetSeconds float64 `json:"offset_s,omitempty"` // its clock minus ours
}

// NTLM is what the proxy's challenge says.
type NTLM struct {
	Domain        string    `json:"domain,omitempty"`
	Server        string    `json:"server,omitempty"`
	DNSDomain     string    `json:"dns_domain,omitempty"`
	DNSServer     string    `json:"dns_server,omitempty"`
	Windows       string    `json:"windows,omitempty"` // version of its system, as far as it says the truth
	Flags         string    `json:"flags,omitempty"`
	FlagNames     []string  `json:"flag_names,omitempty"` // MS-NLMP 2.2.2.5
	Time          time.Time `json:"time,omitzero"`        // the server's clock
	OffsetSeconds float64   `json:"offset_s,omitempty"`   // it minus ours
	SPNEGO        bool      `json:"spnego,omitempty"`     // it came in SPNEGO
	Oddities      []string  `json:"oddities,omitempty"`   // faults that we work around
	// Challenges is how many came: one is usual, a second one after the response is not.
	Challenges int `json:"challenges"`
}

// Ticket is the Kerberos ticket that was shown to the proxy, and what came back.
type Ticket struct {
	Client        string    `json:"client"`
	Service       string    `json:"service"` // the principal that was asked for
	Etype         string    `json:"etype,omitempty"`
	KVNO          int       `json:"kvno,omitempty"` // to compare with klist -k of the proxy's keytab
	Ends          time.Time `json:"ends,omitzero"`
	OffsetSeconds float64   `json:"kdc_offset_s,omitempty"` // the KDC's clock minus ours
	Replies       []string  `json:"replies,omitempty"`      // SPNEGO's state and what it carries
}

// FirstBytes is what the tunnel's first bytes look like.
type FirstBytes string

// Kinds of first bytes; "" if none came.
const (
	BytesTLS  FirstBytes = "tls"
	BytesSTUN FirstBytes = "stun"
	BytesHTML FirstBytes = "html"
	BytesHTTP FirstBytes = "http"
	BytesElse FirstBytes = "other"
)

// Media is the exchange of datagrams between two allocations.
type Media struct {
	Sent     int       `json:"sent"`
	Received int       `json:"received"`
	RTTp50   float64   `json:"rtt_p50_ms"`
	RTT      []float64 `json:"rtt_ms,omitempty"` // of each that came back, the fastest first
}

// Direct is how far the way without the proxy led.
type Direct struct {
	Reached      string  `json:"reached"` // "nothing", "TCP", "TLS", "STUN"
	Milliseconds float64 `json:"ms"`
	Error        string  `json:"error,omitempty"`
	TLS          *TLS    `json:"tls,omitempty"`
}
