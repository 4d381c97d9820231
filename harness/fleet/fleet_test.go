package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/turngate/turngate/harness/loadgen"
	"github.com/turngate/turngate/harness/measure"
	"github.com/turngate/turngate/turntcp"
)

const memberVariable = "TURNGATE_TEST_MEMBER"

// TestMain is also a member's main.
func TestMain(m *testing.M) {
	if os.Getenv(memberVariable) != "" {
		if err := serveMember(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Setenv(memberVariable, "1") // for those that the tests start
	goleak.VerifyTestMain(m)
}

// A memberSpec is what the tests' members are told.
type memberSpec struct {
	Server, Profile string
	Part            loadgen.Part
}

const seed = 7

func (s memberSpec) generator() (*loadgen.Generator, error) {
	p, err := loadgen.FindProfile(s.Profile)
	if err != nil {
		return nil, err
	}
	dial := func(ctx context.Context) (net.Conn, []loadgen.Phase, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.Server)
		return conn, []loadgen.Phase{{Name: "tcp", Took: time.Millisecond}}, err
	}
	return loadgen.New(loadgen.Config{Profile: p, Seed: seed, Near: dial, Far: dial, User: "user", Password: "password", Part: s.Part,
		MaxLateness: time.Minute}) // other tests keep this machine busy
}

func serveMember() error {
	in := json.NewDecoder(os.Stdin)
	var spec memberSpec
	if err := in.Decode(&spec); err != nil {
		return err
	}
	g, err := spec.generator()
	if err != nil {
		return err
	}
	defer g.Close()
	return Serve(in, os.Stdout, g, g, func(error) bool { return true })
}

func startServer(t *testing.T) string {
	t.Helper()
	s, err := turntcp.NewServer(turntcp.Config{
		Realm: "test", RelayIP: netip.MustParseAddr("127.0.0.1"),
		Credentials: turntcp.StaticCredentials(map[string]string{"user": "password"}),
		// On a busy machine what comes late comes all the same.
		MaxQueueDelay: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	addr, err := s.ListenTCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return addr.String()
}

func startFleet(t *testing.T, processes int, spec memberSpec) *Fleet {
	t.Helper()
	f, err := Start(t.Context(), Config{Processes: processes, Spec: func(p loadgen.Part) any { spec.Part = p; return spec }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// Four processes with a quarter of the calls each follow exactly the schedule of one, whatever the
// shape, and their merged histograms hold every sample of the four.
func TestFourFollowTheScheduleOfOne(t *testing.T) {
	t.Parallel()
	spec := memberSpec{Server: startServer(t), Profile: "360p"}
	one, err := spec.generator()
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	four := startFleet(t, 4, spec).Load(false)
	for _, s := range []loadgen.Step{
		{Name: "all", Calls: 10, Duration: time.Second},
		{Name: "fewer", Calls: 5, Duration: time.Second},
		{Name: "more", Calls: 9, Duration: time.Second},
	} {
		want, err1 := one.Run(t.Context(), s)
		got, err2 := four.Run(t.Context(), s)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		p, _ := loadgen.FindProfile(spec.Profile)
		if plan := fmt.Sprintf("%016x", loadgen.Hash(p, seed, 0, s.Calls, s.Duration)); got.Schedule != want.Schedule || got.Schedule != plan {
			t.Errorf("%s: the schedule of four is %s, of one %s, of the plan %s; want the same", s.Name, got.Schedule, want.Schedule, plan)
		}
		if got.Calls != s.Calls || got.Generator.Processes != 4 || got.Generator.Coverage != 1 || got.Up.Scheduled != want.Up.Scheduled {
			t.Errorf("%s: %d calls of %d processes, %d packets due; want %d, 4, %d", s.Name, got.Calls, got.Generator.Processes, got.Up.Scheduled, s.Calls, want.Up.Scheduled)
		}
		for name, f := range map[string]measure.Flow{"up": got.Up, "down": got.Down} {
			if f.Received != f.Scheduled || f.Delay.Count() != f.Received {
				t.Errorf("%s, %s: %d due, %d received, %d delays; want the same", s.Name, name, f.Scheduled, f.Received, f.Delay.Count())
			}
		}
		if len(got.Windows) != 1 || got.Windows[0].Calls != s.Calls {
			t.Errorf("%s: windows %+v; want one with %d calls", s.Name, got.Windows, s.Calls)
		}
	}
}

// A storm of four processes opens every call at the instant that one would.
func TestStormAndChurn(t *testing.T) {
	t.Parallel()
	l := startFleet(t, 3, memberSpec{Server: startServer(t), Profile: "idle"}).Load(false)
	s, err := l.Run(t.Context(), loadgen.Step{Name: "storm", Calls: 20, Duration: time.Second, OpenRate: 40})
	if err != nil || s.Tunnels.Opened != 20 || s.Tunnels.Wanted != 20 {
		t.Errorf("storm: %+v, %v; want 20 of 20", s.Tunnels, err)
	}
	s, err = l.Run(t.Context(), loadgen.Step{Name: "churn", Calls: 20, Duration: time.Second, Churn: 30})
	if err != nil || s.Tunnels.Opened < 20 || s.Tunnels.Opened > 31 || s.Tunnels.Lost != 0 || l.Snapshot().Calls > 20 {
		t.Errorf("churn: %+v, %v, %+v; want about 30 opened, none lost", s.Tunnels, err, l.Snapshot())
	}
}

// A process that dies makes the step void, which says how much of the load is missing and why.
func TestLostProcess(t *testing.T) {
	t.Parallel()
	f := startFleet(t, 4, memberSpec{Server: startServer(t), Profile: "audio"})
	l := f.Load(false)
	time.AfterFunc(1500*time.Millisecond, func() { f.members[2].cmd.Process.Signal(syscall.SIGKILL) })
	for _, name := range []string{"in its middle", "after it"} {
		s, err := l.Run(t.Context(), loadgen.Step{Name: name, Calls: 8, Duration: 2 * time.Second})
		if err != nil || s.Verdict != measure.Void || s.Generator.Coverage != 0.75 || s.Up.Received == 0 {
			t.Errorf("%s: %s, coverage %v, %v; want void with three quarters", name, s.Verdict, s.Generator.Coverage, err)
		}
		if reasons := strings.Join(s.Reasons, "\n"); !strings.Contains(reasons, "generator process 3 of 4 was lost: signal: killed") {
			t.Errorf("%s: reasons %q, want which process was lost, and how", name, reasons)
		}
	}
}

// What a process had counted when it died, five seconds ago at most, is in the step.
func TestLostProcessHadCounted(t *testing.T) {
	t.Parallel()
	f := startFleet(t, 2, memberSpec{Server: startServer(t), Profile: "audio"})
	time.AfterFunc(soFarEvery+2*time.Second, func() { f.members[1].cmd.Process.Signal(syscall.SIGKILL) })
	s, err := f.Load(false).Run(t.Context(), loadgen.Step{Calls: 2, Duration: soFarEvery + 4*time.Second})
	if err != nil || s.Verdict != measure.Void || s.Generator.Coverage != 0.5 || !s.Partial {
		t.Errorf("%s, coverage %v, partial %v, %v; want void with half of it", s.Verdict, s.Generator.Coverage, s.Partial, err)
	}
	const pps = 50 + 5 // audio and RTCP
	if one := int64(s.Seconds * pps); s.Calls != 2 || s.Up.Received < one+3*pps {
		t.Errorf("%d calls, %d packets in %.1f s; want more than the %d of the call that went on", s.Calls, s.Up.Received, s.Seconds, one)
	}
}

// An interrupted step keeps what all processes have measured.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	l := startFleet(t, 2, memberSpec{Server: startServer(t), Profile: "audio"}).Load(false)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(1500*time.Millisecond, cancel)
	s, err := l.Run(ctx, loadgen.Step{Name: "long", Calls: 4, Duration: time.Hour})
	if err == nil || s.Up.Received == 0 || s.Seconds > 30 || s.Generator.Processes != 2 {
		t.Errorf("%d packets in %.1f s of %d processes, %v; want what two measured, and an error", s.Up.Received, s.Seconds, s.Generator.Processes, err)
	}
}

// What a member cannot do is said with its words; a rejection is told as one.
func TestMemberFails(t *testing.T) {
	t.Parallel()
	l := startFleet(t, 2, memberSpec{Server: startServer(t), Profile: "no such"}).Load(false)
	if _, err := l.Run(t.Context(), loadgen.Step{Calls: 2, Duration: time.Second}); err == nil || !strings.Contains(err.Error(), `no profile is called "no such"`) {
		t.Errorf("got %v, want what the member said", err)
	}
}
