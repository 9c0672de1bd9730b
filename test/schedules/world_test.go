package schedules

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/lamplighter/lamplighter/pkg/lifecycle"
	"github.com/lamplighter/lamplighter/pkg/refresh"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store/memstore"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	life      = time.Minute // of access tokens: due at 40 s, replayed at 50 s, over at 60 s
	deadline  = 10 * time.Second
	lease     = 3 * time.Second
	maxWait   = 3 * time.Second
	horizon   = life + 25*time.Second // then all is mended
	patience  = 2 * time.Minute       // and the session comes to rest within
	mostSteps = 120
)

// setting is in which world schedules are played.
type setting struct {
	mode   mode
	replay session.Replay
	sweep  bool // runs in both processes
	flaw   flaw
}

func (s setting) String() string {
	name := fmt.Sprintf("%s, replay %s", s.mode, s.replay)
	if s.sweep {
		name += ", swept"
	}
	return name
}

// meters are shared by all worlds: registering them anew costs more than a world.
type meters struct {
	refresh   *refresh.Metrics
	lifecycle *lifecycle.Metrics
}

func newMeters() meters {
	r := prometheus.NewRegistry()
	return meters{refresh.NewMetrics(r), lifecycle.NewMetrics(r)}
}

// chooser picks one of the options of a step, by its number. The first is the
// ordinary course of things.
type chooser func(options []move) int

// world is one session in two processes, in a bubble of fake time.
type world struct {
	setting
	profile session.Profile
	policy  session.Policy
	meters  meters
	id      session.ID
	start   time.Time
	mem     *memstore.Store
	op      *provider
	owners  int
	graves  sync.WaitGroup // crashed processes on their way out
	budget  budget

	mu       sync.Mutex
	choices  int           // made so far
	arrived  chan struct{} // a step is held
	held     []*held
	engines  [2]*engine
	shift    time.Duration // of the store's clock, for a flaw
	mended   bool
	down     bool // the store
	over     bool
	revision session.Revision
	issued   time.Time                      // the tokens of that revision
	onWay    map[session.Revision]time.Time // until when a request may be on its way
	lost     map[session.Revision]bool      // requests whose answer nobody knows
	replays  map[session.Revision]int       // before the token's end
	failed   session.Revision               // for a flaw
	revoked  map[int]bool
	toRevoke map[int]*engine
	wrong    []string
	trace    []string
}

// play plays one schedule, inside a bubble, and returns what was wrong.
func play(s setting, m meters, choose chooser) (wrong, trace []string) {
	w := &world{
		setting: s, meters: m, start: time.Now(), op: &provider{mode: s.mode, newest: 1}, budget: fullBudget(),
		profile: session.Profile{Name: "explored", Replay: s.replay}, policy: session.Policy{Threshold: 5 * time.Minute},
		arrived: make(chan struct{}, 1), revision: 1,
		onWay: make(map[session.Revision]time.Time), lost: make(map[session.Revision]bool), replays: make(map[session.Revision]int),
		revoked: make(map[int]bool), toRevoke: make(map[int]*engine),
	}
	switch s.mode {
	case grace:
		w.profile.Grace = graceTime
	case nonRotating:
		w.profile.Grace = session.Forever
	}
	w.id[0] = 1 // the same in every world, so that it is swept at the same time
	w.mem = memstore.NewShared(func() time.Time { return time.Now().Add(w.shift) })
	first := session.Session{
		ID: w.id, Revision: 1, CreatedAt: w.start, EndsAt: w.start.Add(8 * time.Hour),
		Token: session.Token{Access: session.AccessToken{Secret: session.NewSecret("access")}, Refresh: refreshToken(1), Issued: w.start, Lifetime: life},
	}
	first.SweepAt = w.policy.SweepAt(first)
	if err := w.mem.Create(context.Background(), first); err != nil {
		return []string{err.Error()}, nil
	}
	for seat := range w.engines {
		w.engines[seat] = w.newEngine(seat)
	}
	for w.goesOn() {
		synctest.Wait()
		options := w.options()
		chosen := options[choose(options)]
		w.mu.Lock()
		w.note("%s", chosen.name)
		w.choices++
		w.mu.Unlock()
		chosen.do()
	}
	w.mend()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.wrong, w.trace
}

func (w *world) goesOn() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Since(w.start) < horizon && w.choices < mostSteps && len(w.wrong) == 0
}

// mend makes all well and waits for the session to come to rest.
func (w *world) mend() {
	synctest.Wait()
	w.mu.Lock()
	w.note("all is mended")
	w.mended, w.down = true, false
	w.mu.Unlock()
	for _, e := range w.engines {
		w.resume(e)
	}
	w.mu.Lock()
	held := slices.Clone(w.held)
	w.mu.Unlock()
	for _, h := range held {
		w.let(h, pass)
	}
	for end := time.Now().Add(patience); ; time.Sleep(500 * time.Millisecond) {
		synctest.Wait()
		w.mu.Lock()
		rested := w.rested()
		if !rested && time.Now().After(end) {
			r, err := w.mem.Get(context.Background(), w.id)
			w.wrongf("the session did not come to rest: %+v %v", r, err)
			rested = true
		}
		w.mu.Unlock()
		if rested {
			break
		}
		for _, e := range w.engines {
			e.visit()
		}
	}
	for _, e := range w.engines {
		if err := e.end(); err != nil {
			w.mu.Lock()
			w.wrongf("%s does not stop: %v", e.name(), err)
			w.mu.Unlock()
		}
	}
	w.graves.Wait()
	w.unrevoked()
}

// note writes a line of the trace. The caller holds the lock.
func (w *world) note(format string, args ...any) {
	w.trace = append(w.trace, w.at()+fmt.Sprintf(format, args...))
}

// report is a schedule with what was wrong, to be read.
func report(s setting, wrong, trace []string) string {
	return fmt.Sprintf("%v %s\nwrong:\n%s\nschedule:\n%s", s, s.flaw, strings.Join(wrong, "\n"), strings.Join(trace, "\n"))
}
