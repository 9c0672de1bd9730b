//go:build crash

package crash

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/admin"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/test/op"
	"github.com/lamplighter/lamplighter/test/stack"
)

// world is one product that is killed again and again at one point, with its
// provider.
type world struct {
	t         *testing.T
	s         *stack.Stack
	point     point
	provider  provider
	wire      wire
	crashFile string
	killers   sync.WaitGroup

	users  []*user // all that ever logged in
	rounds int     // so many of them have had theirs

	mu     sync.Mutex
	reuses map[string][]op.Event // by family
}

// user is somebody whose session is in one round's refresh.
type user struct {
	b      *stack.Browser
	id     string // as the app is told
	name   string // of the session, as operators are told
	family string
	begun  time.Time // no later than the access token
	lost   bool      // the provider has taken the refresh token, and nobody stored the next
}

func newWorld(t *testing.T, k provider, p point) *world {
	t.Helper()
	w := &world{t: t, provider: k, point: p, crashFile: t.TempDir() + "/point", reuses: map[string][]op.Event{}}
	w.s = stack.Start(t, stack.Options{
		AccessTokenLife: k.life, Config: k.duringRounds, Env: append([]string{"CRASH_POINT_FILE=" + w.crashFile}, k.env...),
		Plain: !p.inside, CrashPoints: p.inside, Listen: w.wire.listen, Provider: func(o *op.Options) { o.Log = w.event },
	})
	t.Cleanup(w.killers.Wait)
	if err := w.s.OP.SetPolicy(k.policy); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) event(e op.Event) {
	if e.Kind == op.KindReuse {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.reuses[e.Family] = append(w.reuses[e.Family], e)
	}
}

func (w *world) reusesOf(u *user) []op.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.reuses[u.family]
}

// until waits for a condition that holds at some time, come what may.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	w.every(20*time.Millisecond, what, ok)
}

// every is until with a pace.
func (w *world) every(pace time.Duration, what string, ok func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(w.provider.patience); !ok(); time.Sleep(pace) {
		if time.Now().After(deadline) {
			w.t.Fatalf("not within %v: %s", w.provider.patience, what)
		}
	}
}

func (w *world) fault(f op.Fault) {
	w.t.Helper()
	f.GrantType = "refresh_token"
	if err := w.s.OP.SetFault(f); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) operator() *admin.Client { return admin.NewClient(w.s.Lamplighter.Admin) }

// session is what an operator sees of u's.
func (w *world) session(u *user) admin.Session {
	w.t.Helper()
	s, err := w.operator().Session(w.t.Context(), u.name)
	if err != nil {
		w.t.Fatalf("session of %s: %v", u.family, err)
	}
	return s
}

// login makes a user; the provider counts its families as they come.
func (w *world) login() *user {
	w.t.Helper()
	n := len(w.users) + 1
	u := &user{b: w.s.Browser(w.t), family: fmt.Sprintf("f%d", n), begun: time.Now()}
	u.id = id(w.t, u.b.Login("/", fmt.Sprintf("user-%d", n)))
	h, err := session.ParseHandle(u.b.Cookie("__Host-bff_session"))
	if err != nil {
		w.t.Fatal("no session after the login")
	}
	u.name = h.ID().String()
	w.users = append(w.users, u)
	return u
}

// id is who the app was told that the user is.
func id(t *testing.T, a stack.Answer) string {
	t.Helper()
	a.Bearer(t)
	lines := a.Echo(t).Headers["x-user-id"]
	if len(lines) != 1 || lines[0] == "" {
		t.Fatalf("identity at the app: %q, want one line", lines)
	}
	return lines[0]
}

// fetch is a request of u's, and tells whether it was served. Nobody meets an
// error, another's identity, or a login that is not for a lost answer.
func (w *world) fetch(u *user) (served bool) {
	w.t.Helper()
	switch a := u.b.Fetch("/"); {
	case a.Status == http.StatusOK:
		if got := id(w.t, a); got != u.id {
			w.t.Fatalf("the user of %s is taken for another", u.family)
		}
		return true
	case a.Status == http.StatusUnauthorized && u.lost && !w.provider.forgives:
	case a.Status == http.StatusServiceUnavailable && !w.provider.forgives && a.Header.Get("Retry-After") != "" && len(a.Header.Values("Set-Cookie")) == 0:
	default:
		w.t.Fatalf("the user of %s, lost: %v: %v", u.family, u.lost, a)
	}
	return false
}

// force refreshes u's session, as soon as its token is old enough. An error is
// the operator's client's.
func (w *world) force(u *user, from uint64) (err error) {
	w.t.Helper()
	w.until("the token is old enough to be refreshed", func() bool {
		var s admin.Session
		if s, err = w.operator().Refresh(w.t.Context(), u.name); err != nil {
			return true
		}
		if s.Live == nil {
			w.t.Fatalf("the session of %s ended: %s", u.family, s.Reason)
		}
		return s.Revision > from
	})
	return err
}

// killed refreshes u's session and waits for the process to be killed of it.
func (w *world) killed(u *user) {
	w.t.Helper()
	err := w.force(u, 1)
	if _, told := errors.AsType[*admin.Problem](err); told { // one that is killed a little late may say that all is well
		w.t.Fatalf("the refresh failed, want the process killed in it: %v", err)
	}
	select {
	case <-w.s.Lamplighter.Done():
	case <-time.After(w.provider.patience):
		w.t.Fatal("the process lives, want it killed")
	}
}
