package loadgen

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/turngate/turngate/harness/measure"
)

// Every stream has the bit rate that its profile says, and frames in their order.
func TestRates(t *testing.T) {
	for _, p := range Profiles {
		if err := p.Validate(); err != nil {
			t.Error(err)
		}
		for i, stream := range p.Streams {
			const seconds, calls = 30, 5
			bytes, frames := 0, 0
			for call := range calls {
				s := newSchedule(stream, 1, call, i)
				for n := uint32(0); s.due(n) < seconds*time.Second; n++ {
					if n > 0 && s.due(n) <= s.due(n-1) || s.from(s.due(n)) != n || s.from(s.due(n)+1) != n+1 {
						t.Fatalf("%s/%s: frame %d is due at %v, after %v; found as %d", p.Name, stream.Name, n, s.due(n), s.due(n-1), s.from(s.due(n)))
					}
					bytes, frames = bytes+s.size(n), frames+1
				}
			}
			kbps := float64(bytes) * 8 / 1000 / seconds / calls
			if math.Abs(kbps/stream.Kbps-1) > 0.03 {
				t.Errorf("%s/%s: %.1f kbit/s, want %.1f", p.Name, stream.Name, kbps, stream.Kbps)
			}
			if rate := float64(frames) / seconds / calls; math.Abs(rate/stream.Rate-1) > 0.02 {
				t.Errorf("%s/%s: %.2f frames per second, want %.2f", p.Name, stream.Name, rate, stream.Rate)
			}
		}
	}
}

// A part's calls are numbered so that all parts together have each number once.
func TestParts(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
		want []int
	}{
		{"1/4", 10, []int{0, 4, 8}}, {"2/4", 10, []int{1, 5, 9}}, {"4/4", 10, []int{3, 7}}, {"4/4", 3, nil},
		{"1-3/4", 10, []int{0, 1, 2, 4, 5, 6, 8, 9}}, {"1/1", 3, []int{0, 1, 2}},
	} {
		p, err := ParsePart(c.text)
		var got []int
		for i := range p.Share(c.n) {
			got = append(got, p.Number(i))
		}
		if err != nil || !slices.Equal(got, c.want) || p.String() != c.text {
			t.Errorf("%s of %d calls: %v, %v, written %v; want %v", c.text, c.n, got, err, p, c.want)
		}
	}
	if got := (Part{}).Share(7); got != 7 {
		t.Errorf("no part has %d of 7 calls, want all", got)
	}
	for _, bad := range []string{"", "1", "0/4", "5/4", "3-2/4", "a/4", "1/1001", "-1/4", "1-/4"} {
		if p, err := ParsePart(bad); err == nil {
			t.Errorf("%q was read as %v", bad, p)
		}
	}
}

func TestPacketHeader(t *testing.T) {
	want := packet{run: 1, call: 70000, life: 8, stream: 3, part: 2, parts: 5, frame: 1 << 30, seq: 9, due: 123456789 * time.Microsecond}
	b := make([]byte, headerSize)
	want.put(b)
	if got, ok := parsePacket(b, 1); !ok || got != want {
		t.Errorf("got %+v, %v; want %+v", got, ok, want)
	}
	if _, ok := parsePacket(b, 2); ok {
		t.Error("a packet of another run was taken")
	}
	if _, ok := parsePacket(b[:headerSize-1], 1); ok {
		t.Error("a packet that is too short was taken")
	}
}

// The E-model's values: without impairment 4.4; 177 ms mouth to ear is where delay begins to hurt.
func TestMOS(t *testing.T) {
	for _, c := range []struct {
		delay time.Duration
		late  float64
		want  float64
	}{
		{0, 0, 4.36}, {90 * time.Millisecond, 0, 4.32}, {300 * time.Millisecond, 0, 3.15}, {0, 0.05, 2.96}, {0, 0.2, 1.35}, {0, 1, 1}, {2 * time.Second, 0, 1},
	} {
		if got := MOS(c.delay, c.late); math.Abs(got-c.want) > 0.3 {
			t.Errorf("delay %v, late %.2f: %.2f, want about %.2f", c.delay, c.late, got, c.want)
		}
	}
	last := 5.0
	for d := time.Duration(0); d < 2*time.Second; d += 10 * time.Millisecond {
		if got := MOS(d, 0.01); got > last {
			t.Fatalf("%v more delay makes it better", d)
		} else {
			last = got
		}
	}
}

// Sending a frame allocates nothing once its connection's buffers have grown.
func TestSendAllocatesNothing(t *testing.T) {
	p, err := FindProfile("720p")
	if err != nil {
		t.Fatal(err)
	}
	g := &Generator{cfg: Config{Profile: p}}
	c := &call{g: g}
	c.upward.reset(len(p.Streams), span{0, time.Hour, 15 * time.Second})
	out := newOutbox(nil, false, nil, nil)
	s := &sending{c: c, index: 2, schedule: newSchedule(p.Streams[2], 1, 0, 2), half: &c.upward, out: out, channel: 0x4000}
	due := s.due()
	frame := func() {
		due = s.send(due)
		out.pending = out.pending[:0]
	}
	for range 400 { // a key frame among them
		frame()
	}
	if n := testing.AllocsPerRun(1000, frame); n > 0 {
		t.Errorf("%v allocations per frame, want 0", n)
	}
}

// Receiving a packet allocates nothing.
func TestReceiveAllocatesNothing(t *testing.T) {
	p, err := FindProfile("audio")
	if err != nil {
		t.Fatal(err)
	}
	g := &Generator{cfg: Config{Profile: p}, epoch: time.Now(), run: 1}
	g.resetShards()
	c := &call{g: g}
	c.downward.reset(len(p.Streams), span{0, time.Hour, 15 * time.Second})
	i := uint32(0)
	receive := func() {
		i++
		c.count(&c.downward, packet{run: 1, stream: 0, parts: 1, frame: i, due: time.Duration(i) * time.Microsecond}, time.Duration(i)*time.Microsecond+time.Millisecond)
	}
	receive()
	if n := testing.AllocsPerRun(1000, receive); n > 0 {
		t.Errorf("%v allocations per packet, want 0", n)
	}
}

// A backlog of a connection that takes nothing is bounded, and what finds no room is not sent.
func TestOutboxIsBounded(t *testing.T) {
	p, err := FindProfile("720p")
	if err != nil {
		t.Fatal(err)
	}
	c := &call{g: &Generator{cfg: Config{Profile: p}}}
	c.upward.reset(len(p.Streams), span{0, time.Hour, time.Hour})
	out := newOutbox(nil, false, nil, nil)
	s := &sending{c: c, index: 2, schedule: newSchedule(p.Streams[2], 1, 0, 2), half: &c.upward, out: out, channel: 0x4000}
	for due := s.due(); due < 30*time.Second; {
		due = s.send(due)
	}
	st := c.upward.streams[2]
	if len(out.pending) > maxBacklog || st.sent >= st.scheduled || st.sent == 0 {
		t.Errorf("%d bytes wait, %d of %d packets sent; want at most %d bytes, and the rest not sent", len(out.pending), st.sent, st.scheduled, maxBacklog)
	}
}

type pacedFunc func(due time.Duration) time.Duration

func (f pacedFunc) send(due time.Duration) time.Duration        { return f(due) }
func (f pacedFunc) restart(_, next time.Duration) time.Duration { return next }

// A pacer that is late says so.
func TestLateness(t *testing.T) {
	p := newPacer(time.Now().Add(-50 * time.Millisecond))
	p.add(&source{stream: pacedFunc(func(time.Duration) time.Duration { return time.Hour })})
	p.turn()
	if l := p.takeLateness(); l.Count() != 2 || l.Milliseconds(1) < 50 { // the pulse's, which is in time, is the other one
		t.Errorf("lateness %v, want 50 ms", l.Summary())
	}
	g := &Generator{pacers: []*pacer{p}, cfg: Config{MaxLateness: 2 * time.Millisecond}}
	late := measure.NewLatency()
	late.Record(5 * time.Millisecond)
	r := measure.Step{Generator: measure.Generator{Lateness: late}}
	if g.judge(&r); r.Verdict != measure.Void || len(r.Reasons) != 1 {
		t.Errorf("got %s %q, want void and why", r.Verdict, r.Reasons)
	}
	writing := measure.NewLatency()
	writing.Record(11 * time.Millisecond)
	r = measure.Step{Generator: measure.Generator{Lateness: measure.NewLatency(), Writing: writing}}
	if g.judge(&r); r.Verdict != measure.Void || len(r.Reasons) != 1 {
		t.Errorf("late writers: got %s %q, want void and why", r.Verdict, r.Reasons)
	}
}
