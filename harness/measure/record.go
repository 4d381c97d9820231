package measure

import "time"

// A Verdict is what became of a run, a step or an objective.
type Verdict string

// The verdicts. Pass and Fail judge the thing tested; Void says that none could be judged, because the
// generator was the bottleneck or something was missing.
const (
	Pass Verdict = "pass"
	Fail Verdict = "fail"
	Void Verdict = "void"
)

// A Record is all that a run of load or size has measured, and what follows from it. It is written as
// JSON, versioned by Format: fields are added, never changed. Offsets are seconds since Started, but
// for a Window's. docs/record.md tells of every field.
type Record struct {
	Format     int         `json:"format"`  // 1
	Command    string      `json:"command"` // "load" or "size"
	Run        string      `json:"run"`     // a random name of the run
	Seed       uint64      `json:"seed"`
	Part       string      `json:"part,omitempty"` // of the calls: "2/4"; "" is all
	Started    time.Time   `json:"started"`
	Seconds    float64     `json:"seconds"`
	Partial    bool        `json:"partial,omitempty"` // it was interrupted; what was measured is here
	Verdict    Verdict     `json:"verdict"`
	Reasons    []string    `json:"reasons,omitempty"` // for the verdict, most important first
	Conditions Conditions  `json:"conditions"`
	Path       Path        `json:"path"`
	Profile    Profile     `json:"profile"`
	Objectives []Objective `json:"objectives"`
	Steps      []Step      `json:"steps"`
	Rows       []Row       `json:"rows,omitempty"`     // what the probes and the generator saw, over the whole run
	Unknown    []string    `json:"unknown,omitempty"`  // what could not be known, and why
	Warnings   []string    `json:"warnings,omitempty"` // of the look at this host before the run
	Size       *Size       `json:"size,omitempty"`
}

// Conditions are what every figure depends on.
type Conditions struct {
	Version string  `json:"version"`
	Go      string  `json:"go"`
	OS      string  `json:"os"`
	Kernel  string  `json:"kernel,omitempty"`
	CPU     string  `json:"cpu,omitempty"` // model name
	CPUs    int     `json:"cpus"`
	Load    float64 `json:"load_average"` // of this host in the minute before; 0: not known
	Note    string  `json:"note,omitempty"`
}

// Path is what the load went through. URLs are without user and password.
type Path struct {
	Proxy     string `json:"proxy,omitempty"`
	Product   string `json:"product,omitempty"` // "Squid 5.7", if it said so
	Auth      string `json:"auth,omitempty"`    // the mechanism that got through
	TURN      string `json:"turn"`
	Legs      int    `json:"connect_legs,omitempty"` // CONNECT requests per tunnel
	Lab       string `json:"lab,omitempty"`
	Peer      string `json:"echo_peer,omitempty"` // address of the one that sent all back; absent: both ends were here
	Direction string `json:"delay"`               // OneWay or HalfRoundTrip
}

// What delays are: of one way, if one clock saw both ends, or half of the way to an echo peer and back.
const (
	OneWay        = "one-way"
	HalfRoundTrip = "rtt/2"
)

// Profile is what one call is made of.
type Profile struct {
	Name    string   `json:"name"`
	Summary string   `json:"summary"`
	Streams []Stream `json:"streams"`
	Sources []string `json:"sources"` // where its figures come from
}

// A Stream is one direction of one medium. Rates are of payload, averaged over the profile.
type Stream struct {
	Name    string  `json:"name"` // "audio", "video", "screen", "rtcp"
	Up      bool    `json:"up"`   // from the client to its peer
	Kbps    float64 `json:"kbps"`
	PPS     float64 `json:"pps"`
	FPS     float64 `json:"fps,omitempty"`
	MaxSize int     `json:"max_packet_bytes"`
}

// An Objective is a limit and how it was kept. Metric names one of the figures of a Step.
type Objective struct {
	Metric   string  `json:"metric"` // "added_p95_ms", "late_100ms_share", "setup_p95_ms", ...
	Max      bool    `json:"max"`    // Limit is the most allowed; else the least
	Limit    float64 `json:"limit"`
	Share    string  `json:"share"`  // "end-to-end" or "proxy"
	Source   string  `json:"source"` // citation
	Got      float64 `json:"got"`    // the worst of the steps that it applies to
	Verdict  Verdict `json:"verdict"`
	Measured bool    `json:"measured"` // false: there was nothing to judge by
}

// A Step is a stretch of the run with the same load.
type Step struct {
	Name      string             `json:"name"` // "direct, 20 calls"
	Kind      string             `json:"kind"` // "baseline", "load", "search", "confirm", "model", "storm", "soak"
	Direct    bool               `json:"direct"`
	Calls     int                `json:"calls"`
	Start     float64            `json:"start"`
	Seconds   float64            `json:"seconds"`
	Up        Flow               `json:"up"`
	Down      Flow               `json:"down"`
	Streams   []StreamQuality    `json:"streams,omitempty"`
	Setup     []Phase            `json:"setup,omitempty"`
	Windows   []Window           `json:"windows,omitempty"`
	Tunnels   Tunnels            `json:"tunnels"`
	Generator Generator          `json:"generator"`
	Figures   map[string]float64 `json:"figures"` // scalars that objectives name, see docs/load.md
	Verdict   Verdict            `json:"verdict"`
	Reasons   []string           `json:"reasons,omitempty"`
	Schedule  string             `json:"schedule,omitempty"` // hash of what was due when
	Partial   bool               `json:"partial,omitempty"`  // it did not come to its end, or had not when the record was kept
}

// Flow is the traffic of all calls one way. Bytes are of payload.
type Flow struct {
	Scheduled int64    `json:"scheduled"` // packets due
	Sent      int64    `json:"sent"`      // packets written
	Received  int64    `json:"received"`
	Mbps      float64  `json:"mbps"` // received
	PPS       float64  `json:"pps"`  // received
	Delay     *Latency `json:"delay"`
	Late      []Late   `json:"late"`
}

// Late is the share of packets that came later than a deadline, or never.
type Late struct {
	Milliseconds int     `json:"ms"`
	Share        float64 `json:"share"`
}

// StreamQuality is how one kind of stream came over, all calls together.
type StreamQuality struct {
	Name    string   `json:"name"`
	Up      bool     `json:"up"`
	Delay   *Latency `json:"delay"`
	Jitter  *Latency `json:"jitter"` // RFC 3550, per call and window
	Late    []Late   `json:"late"`
	Stalls  int64    `json:"stalls"`  // head-of-line: nothing for 200 ms, then a burst
	Freezes int64    `json:"freezes"` // of video: a gap between frames of max(3 intervals, interval + 150 ms)

	Scheduled int64   `json:"scheduled,omitempty"` // packets due, of which Late is a share
	MOS       float64 `json:"mos,omitempty"`
}

// A Phase is a part of the set-up of tunnels: "tcp", "proxy-tls", "connect-1" (each leg), "auth"
// (computing credentials), "turn-tls", "allocate", "bind", "first-media", and "total".
type Phase struct {
	Name string   `json:"name"`
	Took *Latency `json:"took"`
}

// A Window is a quality interval of all calls together. Unlike other offsets its Start counts from the
// Start of its Step.
type Window struct {
	Start   float64 `json:"start"`
	Seconds float64 `json:"seconds"`
	Calls   int     `json:"calls"`   // that were to be judged
	Passed  int     `json:"passed"`  // of them
	Delay95 float64 `json:"p95_ms"`  // over all calls
	Late100 float64 `json:"late100"` // share, over all calls
	MOS     float64 `json:"mos"`     // estimated (G.107); the 5th percentile of the calls
	Backlog float64 `json:"backlog"` // most bytes that a sender had waiting
}

// Tunnels says what became of them.
type Tunnels struct {
	Wanted int             `json:"wanted"`
	Opened int             `json:"opened"`
	Lost   int             `json:"lost"`               // closed by somebody else while in use
	Causes map[string]int  `json:"causes,omitempty"`   // why some were not opened or were lost, by kind
	Life   *Latency        `json:"lifetime,omitempty"` // of those lost; capped at a minute
	Longer []time.Duration `json:"longer,omitempty"`   // lifetimes beyond a minute of those lost, the first 1000

	Refused    int `json:"refused,omitempty"`    // by the proxy's own answer, of those that were not opened
	Unreplaced int `json:"unreplaced,omitempty"` // replacements that were due while every call was being opened; not in Wanted
}

// Generator is how well the load was generated. A step whose generator was the bottleneck is Void.
type Generator struct {
	Lateness *Latency `json:"lateness"` // of the pacer: written after it was due
	Sent     float64  `json:"sent"`     // share of what was due
	CPU      float64  `json:"cpu_cores"`
	RSS      int64    `json:"rss_bytes"`
	FDs      int      `json:"fds"`
	FDLimit  int      `json:"fd_limit"`
	GCMax    float64  `json:"gc_pause_max_ms"`
	GCShare  float64  `json:"gc_cpu_share"`
	Coverage float64  `json:"coverage"` // share of the calls whose generator was there for the whole step

	Writing   *Latency `json:"writing,omitempty"`   // from when a write was due to its beginning, where nothing was before it
	Processes int      `json:"processes,omitempty"` // that shared the calls; 0 is one
}

// A Row is what was seen at one instant, by name ("calls", "proc.cpu_cores", "squid.fds_in_use").
type Row struct {
	At     float64            `json:"at"`
	Values map[string]float64 `json:"v"`
}

// Size is the answer of turngate size. Package sizing computes it.
type Size struct {
	Capacity    int          `json:"capacity_calls"` // the largest number that passed
	Confirmed   string       `json:"confirmed"`      // "3 of 3"
	GaveWay     string       `json:"gave_way"`       // what limited it, in words
	Why         []string     `json:"why"`            // the evidence
	AtLeast     bool         `json:"at_least"`       // the search ended before the proxy did
	Logins      Logins       `json:"logins"`
	Model       []Term       `json:"model,omitempty"`
	ModelR2     float64      `json:"model_r2,omitempty"`
	Formula     string       `json:"model_formula,omitempty"` // the terms that are significant
	Demand      Demand       `json:"demand"`
	Constraints []Constraint `json:"constraints"`
	Proxies     int          `json:"proxies"` // with the spare
	Binding     string       `json:"binding"` // name of the constraint that decides
	Sentence    string       `json:"sentence"`
	Validation  *Validation  `json:"validation,omitempty"`
}

// Logins is how fast tunnels open.
type Logins struct {
	PerSecond float64 `json:"tunnels_per_s"` // 0: not known
	AtLeast   bool    `json:"at_least"`
	Legs      float64 `json:"connects_per_tunnel"`
	GaveWay   string  `json:"gave_way"`
}

// A Validation compares what the cost model says of a load that it was not fitted on with what that
// load takes.
type Validation struct {
	Mix       string    `json:"mix"` // in words
	Mbps      float64   `json:"mbps"`
	Writes    float64   `json:"writes_per_s"`
	Connects  float64   `json:"connects_per_s"`
	Tunnels   float64   `json:"tunnels"`
	Predicted float64   `json:"predicted_cores"`
	Low       float64   `json:"predicted_low"` // 95 % of measurements lie between Low and High
	High      float64   `json:"predicted_high"`
	Beyond    []string  `json:"beyond,omitempty"` // terms that are well beyond what the model was fitted on
	Measured  []float64 `json:"measured_cores"`
	Void      []float64 `json:"void_cores,omitempty"` // of runs that say nothing, because the proxy had to wait for a CPU or the load was not there
}

// A Term of the cost model: cores of proxy CPU per unit.
type Term struct {
	Name   string  `json:"name"` // "idle", "Mbit/s", "writes/s", "CONNECTs/s", "tunnels"
	Cores  float64 `json:"cores"`
	StdErr float64 `json:"std_err"`
	Shown  bool    `json:"significant"`
}

// Demand is what is asked of the proxies.
type Demand struct {
	Users      int     `json:"users,omitempty"`
	PerHour    float64 `json:"busy_hour_calls_per_user,omitempty"`
	HoldingS   float64 `json:"mean_call_seconds,omitempty"`
	Erlangs    float64 `json:"erlangs,omitempty"`
	Blocking   float64 `json:"blocking,omitempty"`
	Concurrent int     `json:"concurrent_calls"`

	// JoinsPerMinute is how many calls begin in the busiest minute; 0 for evenly through the hour.
	JoinsPerMinute float64 `json:"joins_in_busiest_minute,omitempty"`
}

// A Constraint is one resource: how much a proxy has, how much the demand needs, and how many proxies
// follow from that alone.
type Constraint struct {
	Name     string  `json:"name"` // "CPU", "memory", "descriptors", "ports", "bit rate", "CONNECT/s", "helpers", "measured capacity", "storm"
	Unit     string  `json:"unit"`
	PerProxy float64 `json:"per_proxy"`
	Needed   float64 `json:"needed"`
	Headroom float64 `json:"headroom"` // the part of PerProxy that is planned with
	Proxies  int     `json:"proxies"`
	Binding  bool    `json:"binding"`
	Basis    string  `json:"basis"` // measured, given, or assumed, and from what
}
