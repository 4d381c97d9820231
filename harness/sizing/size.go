package sizing

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/turngate/turngate/harness/measure"
)

// Headroom is the part of what a proxy has that is planned with: queues grow long before a resource
// is used up, and tomorrow's calls are not today's.
const Headroom = 0.7

// PortsPerPair is how many tunnels fit between a source address of the proxy and one address and port
// of the TURN server: Linux's net.ipv4.ip_local_port_range is 32768 to 60999.
const PortsPerPair = 28232

// A Proxy is what one proxy has, and what calls cost it. What is zero is not known, and its constraint
// is left out.
type Proxy struct {
	Profile  string  // of the calls, for words
	Capacity Found   // in calls of the profile
	GaveWay  string  // what limited it
	Mbps     float64 // payload of one call, both directions together
	Writes   float64 // per second of one call, see Load

	TunnelsPerCall float64 // default 1; a client that gathers candidates for two servers opens two
	Legs           float64 // CONNECT requests per tunnel

	Model *Model
	Cores float64 // that the proxy can use
	// SharedCores are what it and its helpers can use together, by a quota; 0: as many as there are.
	SharedCores float64

	Memory, TunnelMemory, IdleMemory float64 // bytes
	Descriptors                      int     // that its process may have
	ReservedDescriptors              int     // of them, which Squid does not give to clients
	TunnelDescriptors                float64 // default 2: one to each side
	IdleDescriptors                  float64
	AddressPairs                     int     // source addresses times addresses of the TURN server. Default 1
	LinkMbps                         float64 // of its network interface, each way

	Logins        float64 // tunnels per second that it opens
	LoginsGaveWay string
	LoginsAtLeast bool
	Helpers       int     // that verify credentials
	HelperSeconds float64 // that one is taken by a tunnel

	Return time.Duration // within which the calls of a proxy that died come back. Default 10 s
}

func (p *Proxy) setDefaults() {
	for _, d := range []struct {
		v  *float64
		to float64
	}{{&p.TunnelsPerCall, 1}, {&p.Legs, 1}, {&p.TunnelDescriptors, 2}} {
		if *d.v <= 0 {
			*d.v = d.to
		}
	}
	if p.AddressPairs <= 0 {
		p.AddressPairs = 1
	}
	if p.Return <= 0 {
		p.Return = 10 * time.Second
	}
}

// Names of the constraints.
const (
	MeasuredCapacity = "measured capacity"
	CPU              = "CPU"
	MemoryLimit      = "memory"
	DescriptorLimit  = "descriptors"
	PortLimit        = "ports"
	BitRate          = "bit rate"
	ConnectRate      = "CONNECT/s"
	HelperLimit      = "helpers"
	Storm            = "storm"
)

// Size answers how many proxies a demand needs: the largest number that any constraint asks for, and
// one to spare. The demand must be complete, see Concurrent.
func Size(p Proxy, d measure.Demand) measure.Size {
	p.setDefaults()
	s := measure.Size{
		Capacity: p.Capacity.Calls, Confirmed: p.Capacity.Confirmed(), AtLeast: p.Capacity.AtLeast, GaveWay: p.GaveWay, Demand: d,
		Logins: measure.Logins{PerSecond: p.Logins, AtLeast: p.LoginsAtLeast, Legs: p.Legs, GaveWay: p.LoginsGaveWay},
	}
	if p.Model != nil {
		s.Model, s.ModelR2, s.Formula = p.Model.Terms, p.Model.R2, p.Model.String()
	}
	if s.Capacity > 0 {
		s.Constraints = p.constraints(d)
		bind(&s)
	}
	s.Sentence = p.sentence(s)
	return s
}

// constraints are those whose figures are known. A Proxies of 0 says that no number is enough.
func (p *Proxy) constraints(d measure.Demand) (list []measure.Constraint) {
	tunnels := float64(d.Concurrent) * p.TunnelsPerCall
	add := func(c measure.Constraint, reserved float64) {
		if c.PerProxy <= 0 {
			return
		}
		if c.Headroom == 0 {
			c.Headroom = Headroom
		}
		if c.Proxies == 0 {
			c.Proxies = ceil(c.Needed, c.PerProxy*c.Headroom-reserved)
		}
		list = append(list, c)
	}
	bound := ""
	if p.Capacity.AtLeast {
		bound = "at least; "
	}
	add(measure.Constraint{Name: MeasuredCapacity, Unit: "calls", PerProxy: float64(p.Capacity.Calls), Needed: float64(d.Concurrent),
		Basis: fmt.Sprintf("measured: %s%s", bound, p.Capacity.Why)}, 0)
	if p.Model != nil {
		idleCores := p.Model.Terms[idle].Cores
		add(measure.Constraint{Name: CPU, Unit: "cores", PerProxy: p.Cores, Needed: p.cores(d),
			Basis: fmt.Sprintf("cost model; a proxy at rest takes %.3g", idleCores)}, idleCores)
	}
	if p.TunnelMemory > 0 {
		add(measure.Constraint{Name: MemoryLimit, Unit: "MB", PerProxy: p.Memory / 1e6, Needed: tunnels * p.TunnelMemory / 1e6,
			Basis: fmt.Sprintf("measured: %.0f KB per idle tunnel, %.0f MB at rest; the kernel's socket buffers are not in it", p.TunnelMemory/1e3, p.IdleMemory/1e6)}, p.IdleMemory/1e6)
	}
	add(measure.Constraint{Name: DescriptorLimit, Unit: "descriptors", PerProxy: float64(p.Descriptors - p.ReservedDescriptors), Needed: tunnels * p.TunnelDescriptors,
		Basis: fmt.Sprintf("%.3g per tunnel, %.0f at rest%s", p.TunnelDescriptors, p.IdleDescriptors, p.reserve())}, p.IdleDescriptors)
	add(measure.Constraint{Name: PortLimit, Unit: "tunnels", PerProxy: float64(p.AddressPairs) * PortsPerPair, Needed: tunnels,
		Basis: fmt.Sprintf("%d ports per pair of addresses (Linux's default range), %d pairs", PortsPerPair, p.AddressPairs)}, 0)
	add(measure.Constraint{Name: BitRate, Unit: "Mbit/s", PerProxy: p.LinkMbps, Needed: float64(d.Concurrent) * p.Mbps * frameOverhead,
		Basis: "given; every byte passes the link twice, in and out, so each way carries both directions of a call"}, 0)
	for _, c := range p.loginConstraints(d) {
		add(c, 0)
	}
	return list
}

func (p *Proxy) reserve() string {
	if p.ReservedDescriptors == 0 {
		return ""
	}
	return fmt.Sprintf("; of %d that it may have it keeps %d in reserve", p.Descriptors, p.ReservedDescriptors)
}

// frameOverhead is what TCP/IP, TLS and ChannelData add to payload, for packets of about 900 bytes.
const frameOverhead = 1.1

// cores is what the demand takes of CPU, without what proxies take at rest.
func (p *Proxy) cores(d measure.Demand) float64 {
	l := Load{
		Mbps: float64(d.Concurrent) * p.Mbps, Writes: float64(d.Concurrent) * p.Writes,
		Connects: joins(d) * p.TunnelsPerCall * p.Legs, Tunnels: float64(d.Concurrent) * p.TunnelsPerCall,
	}
	sum := 0.0
	for j, v := range l.row() {
		if j != idle {
			sum += p.Model.Terms[j].Cores * v
		}
	}
	return sum
}

// joins is how many calls begin per second in the busiest minute.
func joins(d measure.Demand) float64 {
	if d.JoinsPerMinute > 0 {
		return d.JoinsPerMinute / 60
	}
	if d.HoldingS <= 0 {
		return 0
	}
	if d.Erlangs > 0 {
		return d.Erlangs / d.HoldingS
	}
	return float64(d.Concurrent) / d.HoldingS
}

// loginConstraints are those of opening tunnels.
func (p *Proxy) loginConstraints(d measure.Demand) (list []measure.Constraint) {
	if p.Logins <= 0 {
		return nil
	}
	arriving := joins(d) * p.TunnelsPerCall // tunnels per second
	bound := ""
	if p.LoginsAtLeast {
		bound = "at least "
	}
	basis := fmt.Sprintf("measured: %s%.3g tunnels/s of %.3g CONNECTs each", bound, p.Logins, p.Legs)
	if p.LoginsGaveWay != "" && !p.LoginsAtLeast {
		basis += ", then " + p.LoginsGaveWay + " gives way"
	}
	if arriving > 0 {
		list = append(list, measure.Constraint{Name: ConnectRate, Unit: "CONNECTs/s", PerProxy: p.Logins * p.Legs, Needed: arriving * p.Legs, Basis: basis})
		if p.Helpers > 0 && p.HelperSeconds > 0 {
			list = append(list, measure.Constraint{Name: HelperLimit, Unit: "helpers", PerProxy: float64(p.Helpers), Needed: arriving * p.HelperSeconds,
				Basis: fmt.Sprintf("%d helpers, each taken for %.0f ms by a tunnel", p.Helpers, 1000*p.HelperSeconds)})
		}
	}
	return append(list, p.storm(d, basis))
}

// storm is the reconnecting of the calls of one proxy of n+1 that dies, on the n that are left. What
// they can do at most is what they may do then.
func (p *Proxy) storm(d measure.Demand, basis string) measure.Constraint {
	all := float64(d.Concurrent) * p.TunnelsPerCall * p.Legs / p.Return.Seconds() // if all came back
	each := p.Logins * p.Legs
	// all/(n+1) on n proxies, each at most its own: n (n+1) >= all/each.
	n := max(1, int(math.Ceil((math.Sqrt(1+4*all/each)-1)/2-1e-9)))
	return measure.Constraint{
		Name: Storm, Unit: "CONNECTs/s", PerProxy: each, Needed: all / float64(n+1), Headroom: 1, Proxies: n,
		Basis: fmt.Sprintf("one of %d dies, its calls come back within %v; %s", n+1, p.Return, basis),
	}
}

// ceil is how many of what each has are needed; 0 if each has nothing left.
func ceil(needed, each float64) int {
	if each <= 0 {
		return 0
	}
	return max(1, int(math.Ceil(needed/each-1e-9)))
}

// bind finds the constraint that decides, the first of those that ask for the most, and the number.
func bind(s *measure.Size) {
	worst := -1
	for i, c := range s.Constraints {
		if c.Proxies == 0 { // none is enough
			worst = i
			break
		}
		if worst < 0 || c.Proxies > s.Constraints[worst].Proxies || c.Proxies == s.Constraints[worst].Proxies && load(c) > load(s.Constraints[worst]) {
			worst = i
		}
	}
	if worst < 0 {
		return
	}
	c := &s.Constraints[worst]
	c.Binding, s.Binding = true, c.Name
	if c.Proxies > 0 {
		s.Proxies = c.Proxies + 1
	}
}

// load is the share of what is planned with that is used; of constraints that ask for the same number
// of proxies the fullest decides.
func load(c measure.Constraint) float64 {
	return c.Needed / (float64(c.Proxies) * c.PerProxy * c.Headroom)
}

func (p *Proxy) sentence(s measure.Size) string {
	switch {
	case s.Capacity == 0 && s.AtLeast && p.Capacity.Fails > 0:
		return fmt.Sprintf("This proxy does not carry %d calls of %s within the objectives, and fewer could not be judged: what gives way is %s.", p.Capacity.Fails, p.Profile, s.GaveWay)
	case s.Capacity == 0 && s.AtLeast:
		return fmt.Sprintf("Nothing can be said about this proxy: not even one call of %s could be judged, because %s gave way first.", p.Profile, s.GaveWay)
	case s.Capacity == 0:
		return fmt.Sprintf("This proxy does not carry even one call of %s within the objectives, so no number of them is enough: what gives way is %s.", p.Profile, s.GaveWay)
	case s.Proxies == 0:
		return fmt.Sprintf("%s need more than any number of proxies like this one has: %s.", demandWords(s.Demand), s.Binding)
	}
	fewer, least := "", ""
	if s.AtLeast {
		least = "at least "
	}
	if s.AtLeast && s.Binding == MeasuredCapacity || p.LoginsAtLeast && (s.Binding == ConnectRate || s.Binding == Storm) {
		fewer = " or fewer"
	}
	return fmt.Sprintf("%s need %d proxies%s like this one, one of them spare. What decides is %s. One proxy carries %s%s of %s within the objectives (%s); %s.",
		demandWords(s.Demand), s.Proxies, fewer, p.decides(s), least, calls(fmt.Sprint(s.Capacity)), p.Profile, confirmedWords(p.Capacity), p.endWords(s))
}

// endWords says why one proxy is not said to carry more.
func (p *Proxy) endWords(s measure.Size) string {
	switch {
	case s.GaveWay == searchEnded:
		return "the search ended before anything gave way"
	case s.AtLeast && (s.GaveWay == TheGenerator || s.GaveWay == TheMachine):
		return "what gave way then was not the proxy but " + s.GaveWay
	case s.AtLeast:
		return fmt.Sprintf("with %d calls what gives way is %s, and what is between could not be judged", p.Capacity.Fails, s.GaveWay)
	}
	return "what gives way then is " + s.GaveWay
}

func confirmedWords(f Found) string {
	if f.Of == 0 {
		return "not confirmed: there was no time"
	}
	return "confirmed " + f.Confirmed()
}

// decides names the binding constraint in words.
func (p *Proxy) decides(s measure.Size) string {
	for _, c := range s.Constraints {
		if !c.Binding {
			continue
		}
		switch c.Name {
		case MeasuredCapacity:
			return fmt.Sprintf("the measured capacity, planned with %.0f %%", 100*c.Headroom)
		case Storm:
			return fmt.Sprintf("the storm when one of them dies: %.3g CONNECTs/s on the others, of which each takes %.3g", c.Needed, c.PerProxy)
		case ConnectRate, HelperLimit:
			return fmt.Sprintf("authentication (%s): %.3g %s are needed, a proxy has %.3g, planned with %.0f %%", c.Name, c.Needed, c.Unit, c.PerProxy, 100*c.Headroom)
		}
		return fmt.Sprintf("%s: %.3g %s are needed, a proxy has %.3g, planned with %.0f %%", c.Name, c.Needed, c.Unit, c.PerProxy, 100*c.Headroom)
	}
	return "nothing that is known"
}

func calls(number string) string {
	if number == "1" {
		return "1 call"
	}
	return number + " calls"
}

func demandWords(d measure.Demand) string {
	var b strings.Builder
	switch {
	case d.Users > 0 && d.Erlangs > 0:
		fmt.Fprintf(&b, "%d users, each of whom makes %s of %.3g min in the busy hour, %.4g erlangs, so %d calls at a time (Erlang B, %.3g %% blocked),",
			d.Users, calls(fmt.Sprintf("%.3g", d.PerHour)), d.HoldingS/60, d.Erlangs, d.Concurrent, 100*d.Blocking)
	case d.Erlangs > 0:
		fmt.Fprintf(&b, "%.4g erlangs, so %d calls at a time (Erlang B, %.3g %% blocked),", d.Erlangs, d.Concurrent, 100*d.Blocking)
	default:
		fmt.Fprintf(&b, "%d calls at a time", d.Concurrent)
	}
	return b.String()
}
