package loadgen

import (
	"container/heap"
	"runtime"
	"sync"
	"time"

	"github.com/turngate/turngate/harness/measure"
)

// longestSleep is after which the pacer looks for streams that were added.
const longestSleep = 2 * time.Millisecond

// A pacer sends what is due when it is due, from one thread. What is late is sent all the same, and
// how late is recorded: delays count from when a packet was due. A pulse of its own is recorded, too, so
// that a generator whose calls are silent knows whether it kept time.
type pacer struct {
	epoch time.Time
	stop  chan struct{}
	done  chan struct{}

	mu       sync.Mutex
	queue    sources
	lateness *measure.Latency
}

// A source is a stream of a call at the pacer.
type source struct {
	due    time.Duration // since the epoch
	stream paced
	over   bool // it is not to be sent any more
	at     int  // in the heap
}

// paced is what a pacer drives. Its methods are called by one goroutine at a time.
type paced interface {
	// send sends what is due and returns when the next is.
	send(due time.Duration) (next time.Duration)
	// restart makes what is due from base on follow the schedule anew, and returns when the next is due.
	restart(base, next time.Duration) time.Duration
}

func newPacer(epoch time.Time) *pacer {
	p := &pacer{epoch: epoch, stop: make(chan struct{}), done: make(chan struct{}), lateness: measure.NewLatency()}
	p.queue = sources{&source{due: time.Since(epoch), stream: pulse{}}}
	return p
}

// A pulse is a stream of nothing.
type pulse struct{}

const pulseEvery = 20 * time.Millisecond

func (pulse) send(due time.Duration) time.Duration        { return due + pulseEvery }
func (pulse) restart(_, next time.Duration) time.Duration { return next }

// run is the pacer's thread.
func (p *pacer) run() {
	runtime.LockOSThread() // and never unlocked: the thread, with its priority, ends with us
	defer close(p.done)
	addProcessors(1) // the one that sleep keeps
	defer addProcessors(-1)
	keepTime()
	for {
		select {
		case <-p.stop:
			return
		default:
		}
		sleep(p.turn())
	}
}

var processors sync.Mutex

// addProcessors changes how many goroutines run at a time.
func addProcessors(n int) {
	processors.Lock()
	defer processors.Unlock()
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + n)
}

// turn sends all that is due and returns how long to sleep.
func (p *pacer) turn() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Since(p.epoch)
	// What falls due meanwhile waits for the next turn, so that others get the lock.
	for len(p.queue) > 0 && p.queue[0].due <= now {
		s := p.queue[0]
		if s.over {
			heap.Pop(&p.queue)
			continue
		}
		p.lateness.Record(time.Since(p.epoch) - s.due)
		s.due = s.stream.send(s.due)
		heap.Fix(&p.queue, 0)
	}
	if len(p.queue) == 0 {
		return longestSleep
	}
	return min(longestSleep, p.queue[0].due-time.Since(p.epoch))
}

func (p *pacer) add(s *source) {
	p.mu.Lock()
	defer p.mu.Unlock()
	heap.Push(&p.queue, s)
}

// restart makes all streams follow their schedules anew from base on.
func (p *pacer) restart(base time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.queue {
		s.due = s.stream.restart(base, s.due)
	}
	heap.Init(&p.queue)
}

// remove makes the pacer forget sources; when it returns, none of them is being sent.
func (p *pacer) remove(list []*source) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range list {
		if !s.over && s.at < len(p.queue) && p.queue[s.at] == s {
			heap.Remove(&p.queue, s.at)
		}
		s.over = true
	}
}

// takeLateness returns what was recorded since it was last called.
func (p *pacer) takeLateness() *measure.Latency {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lateness
	p.lateness = measure.NewLatency()
	return l
}

// close ends the pacer and waits for it.
func (p *pacer) close() {
	close(p.stop)
	<-p.done
}

// sources are a heap by due time.
type sources []*source

func (q sources) Len() int           { return len(q) }
func (q sources) Less(i, j int) bool { return q[i].due < q[j].due }
func (q sources) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].at, q[j].at = i, j
}
func (q *sources) Push(x any) {
	s := x.(*source)
	s.at = len(*q)
	*q = append(*q, s)
}
func (q *sources) Pop() any {
	old := *q
	s := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return s
}
