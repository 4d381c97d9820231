package loadgen

import (
	"fmt"
	"slices"
	"strings"

	"github.com/turngate/turngate/harness/measure"
)

// MaxPacket is the largest payload of a packet, in bytes: what WebRTC sends at most.
const MaxPacket = 1200

// A Stream is one direction of one medium of a call. Rates are of payload.
type Stream struct {
	Name string  // "audio", "video", "screen", "rtcp"
	Up   bool    // from the near end to the far one
	Rate float64 // frames per second; a frame of audio is one packet
	Kbps float64 // on average

	// Of video: every KeyEvery frames one is KeyTimes as large as the others, and sizes vary by
	// Spread to both sides (0.3 is +-30 %), evenly. Default is frames of one size.
	KeyEvery int
	KeyTimes float64
	Spread   float64
}

// A Profile is what a call is made of.
type Profile struct {
	Name    string
	Summary string
	Streams []Stream
	Sources []string // where its figures come from
	Echo    bool     // what goes up comes back: the streams down are those up
}

// Echoed is the profile whose calls an echo peer answers: what goes up stays as it is, and comes down
// instead of what the profile has there.
func (p Profile) Echoed() Profile {
	if p.Echo {
		return p
	}
	p.Echo = true
	all := p.Streams
	p.Streams = nil
	same := true
	for _, s := range all {
		if s.Up {
			p.Streams = append(p.Streams, s)
		}
		other := s
		other.Up = !s.Up
		same = same && slices.Contains(all, other)
	}
	if !same {
		p.Summary += "; of which an echo peer sends back what goes up, instead of what comes down"
	}
	return p
}

// ways is how often each packet of the streams crosses the way.
func (p Profile) ways() float64 {
	if p.Echo {
		return 2
	}
	return 1
}

func audio(up bool) Stream { return Stream{Name: "audio", Up: up, Rate: 50, Kbps: 32} }

func video(up bool, kbps float64) Stream {
	return Stream{Name: "video", Up: up, Rate: 30, Kbps: kbps, KeyEvery: 300, KeyTimes: 5, Spread: 0.3}
}

func rtcp(up bool) Stream { return Stream{Name: "rtcp", Up: up, Rate: 5, Kbps: 4} }

func both(streams ...func(up bool) Stream) (all []Stream) {
	for _, s := range streams {
		all = append(all, s(true), s(false))
	}
	return all
}

func videoAt(kbps float64) func(bool) Stream {
	return func(up bool) Stream { return video(up, kbps) }
}

const (
	sourceOpus = "audio: Opus at 32 kbit/s, 20 ms frames (libwebrtc's default for fullband mono)"
	sourceACS  = "video: Azure Communication Services, network requirements: 360p30 500 kbit/s, 720p30 1.2 Mbit/s, 1080p30 1.5 Mbit/s"
	sourceSim  = "simulcast: libwebrtc kSimulcastFormats, 720p uplink 150 + 500 + 2500 kbit/s"
	sourceScr  = "screen: libwebrtc legacy conference mode, 200 and 1000 kbit/s; 5 frames per second"
	sourceKey  = "key frames: every 10 s, 5 times the size of others; sizes +-30 % (assumed)"
)

// Profiles are the built-in ones.
var Profiles = []Profile{
	{Name: "audio", Summary: "a call with audio only, both ways", Streams: both(audio, rtcp), Sources: []string{sourceOpus}},
	{Name: "360p", Summary: "a video call at 360p, both ways", Streams: both(audio, videoAt(500), rtcp), Sources: []string{sourceOpus, sourceACS, sourceKey}},
	{Name: "720p", Summary: "a video call at 720p, both ways", Streams: both(audio, videoAt(1200), rtcp), Sources: []string{sourceOpus, sourceACS, sourceKey}},
	{Name: "1080p", Summary: "a video call at 1080p, both ways", Streams: both(audio, videoAt(1500), rtcp), Sources: []string{sourceOpus, sourceACS, sourceKey}},
	{
		Name: "simulcast", Summary: "a participant of a conference: three layers up, four videos at 360p down",
		Streams: append(both(audio, rtcp),
			video(true, 150), video(true, 500), video(true, 2500), video(false, 500), video(false, 500), video(false, 500), video(false, 500)),
		Sources: []string{sourceOpus, sourceACS, sourceSim, sourceKey},
	},
	{
		Name: "screen", Summary: "a presenter: audio both ways, the screen up",
		Streams: append(both(audio, rtcp),
			Stream{Name: "screen", Up: true, Rate: 5, Kbps: 1000, KeyEvery: 50, KeyTimes: 4, Spread: 0.5}),
		Sources: []string{sourceOpus, sourceScr, sourceKey},
	},
	{Name: "idle", Summary: "a tunnel with an allocation and nothing in it"},
}

// FindProfile returns a built-in profile.
func FindProfile(name string) (Profile, error) {
	var names []string
	for _, p := range Profiles {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return Profile{}, fmt.Errorf("no profile is called %q; there are %s", name, strings.Join(names, ", "))
}

// Validate says what is wrong with a profile.
func (p Profile) Validate() error {
	for _, s := range p.Streams {
		switch {
		case s.Name == "":
			return fmt.Errorf("profile %s: a stream has no name", p.Name)
		case s.Rate <= 0 || s.Rate > 1000 || s.Kbps <= 0 || s.Kbps > 100_000:
			return fmt.Errorf("profile %s: stream %s: want up to 1000 frames per second and 100,000 kbit/s", p.Name, s.Name)
		case s.Spread < 0 || s.Spread >= 1 || s.KeyEvery < 0 || s.KeyEvery > 0 && s.KeyTimes < 1:
			return fmt.Errorf("profile %s: stream %s: want a spread from 0 to 1 and key frames that are larger than others", p.Name, s.Name)
		case s.meanFrame() < headerSize:
			return fmt.Errorf("profile %s: stream %s: frames of %.0f bytes are less than the %d that a packet needs", p.Name, s.Name, s.meanFrame(), headerSize)
		}
	}
	return nil
}

// Record is the profile as the record of a run has it.
func (p Profile) Record() measure.Profile {
	r := measure.Profile{Name: p.Name, Summary: p.Summary, Sources: slices.Clone(p.Sources), Streams: []measure.Stream{}}
	for _, s := range p.Streams {
		m := measure.Stream{Name: s.Name, Up: s.Up, Kbps: s.Kbps, PPS: s.Rate * float64(packets(int(s.meanFrame()))), MaxSize: min(MaxPacket, int(s.meanFrame()))}
		if s.KeyEvery > 0 {
			m.FPS = s.Rate
		}
		r.Streams = append(r.Streams, m)
		if p.Echo {
			m.Up = false
			r.Streams = append(r.Streams, m)
		}
	}
	return r
}

// Mbps is the payload of one call, both ways together.
func (p Profile) Mbps() (sum float64) {
	for _, s := range p.Streams {
		sum += p.ways() * s.Kbps / 1000
	}
	return sum
}

// Writes is how many frames a call sends per second, both ways together. The packets of a frame are written at once,
// and whoever reads them finds them together.
func (p Profile) Writes() (sum float64) {
	for _, s := range p.Streams {
		sum += p.ways() * s.Rate
	}
	return sum
}

// PPS is the packets per second of one call, both ways together.
func (p Profile) PPS() (sum float64) {
	for _, s := range p.Record().Streams {
		sum += s.PPS
	}
	return sum
}

// meanFrame is the average size of a frame in bytes.
func (s Stream) meanFrame() float64 { return s.Kbps * 1000 / 8 / s.Rate }

// packets is how many packets a frame is cut into.
func packets(bytes int) int { return max(1, (bytes+MaxPacket-1)/MaxPacket) }
