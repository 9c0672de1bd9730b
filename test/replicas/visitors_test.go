//go:build replicas

package replicas

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/op"
	"github.com/lamplighter/lamplighter/test/stack"
)

const (
	thinkTime = 250 * time.Millisecond  // between two requests of a visitor, in the mean
	atOnce    = 4900 * time.Millisecond // an answer that takes longer is Envoy's own, by its timeout
)

// visitors are browsers that are signed in and ask for something all the time, of
// any of the replicas.
type visitors struct {
	t    *testing.T
	all  []*stack.Stack
	op   *op.Provider
	each []*visitor

	mu     sync.Mutex
	phase  string
	counts map[string]int // "phase: answer"
	wrong  map[string]int
	gone   bool // the sessions may be
	stop   context.CancelFunc
	live   sync.WaitGroup
}

type visitor struct {
	*visitors
	b      *stack.Browser
	name   string
	family string

	mu     sync.Mutex
	newest map[*stack.Stack]int // number of the newest token that each replica has served
	served time.Time            // when the last request began that was served
}

// visit signs n browsers in, and lets them go round.
func visit(t *testing.T, all []*stack.Stack, n int) *visitors {
	t.Helper()
	v := &visitors{t: t, all: all, op: all[0].OP, counts: map[string]int{}, wrong: map[string]int{}, phase: "before"}
	for i := range n {
		one := &visitor{visitors: v, b: all[0].Browser(t), name: fmt.Sprint("visitor ", i)}
		one.login()
		v.each = append(v.each, one)
	}
	ctx, cancel := context.WithCancel(t.Context())
	v.stop = cancel
	for _, one := range v.each {
		v.live.Go(func() { one.goRound(ctx) })
	}
	t.Cleanup(v.leave)
	return v
}

// login signs the browser in; its page is the app's at once.
func (v *visitor) login() {
	v.t.Helper()
	a := v.b.Login("/", v.name)
	got, ok := v.op.Access(a.Bearer(v.t))
	if !ok {
		v.t.Fatal("the app saw a token that the provider does not know")
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.family, v.newest = got.Family, map[*stack.Stack]int{v.all[0]: got.Number}
}

// leave ends all requests, and tells what there was.
func (v *visitors) leave() {
	v.stop()
	v.live.Wait()
}

// enter begins a phase, for the counts.
func (v *visitors) enter(phase string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.phase = phase
}

// mayBeGone allows answers for browsers whose session is not there any more.
func (v *visitors) mayBeGone() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.gone = true
}

func (v *visitors) fault(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.wrong[v.phase+": "+fmt.Sprintf(format, args...)]++
}

func (v *visitors) count(status int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.counts[fmt.Sprintf("%s: %d", v.phase, status)]++
}

// counted is how many answers of a phase had a status.
func (v *visitors) counted(phase string, status int) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.counts[fmt.Sprintf("%s: %d", phase, status)]
}

func (v *visitor) goRound(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(rand.Float64() * 2 * float64(thinkTime))):
		}
		v.ask(ctx, v.all[rand.IntN(len(v.all))], rand.IntN(10))
	}
}

// ask makes one request of a replica: seldom a navigation, seldom for who is signed
// in, and else for the app.
func (v *visitor) ask(ctx context.Context, s *stack.Stack, draw int) (status int) {
	path, lines := "/", [2]string{"cors", "application/json"}
	switch draw {
	case 0:
		path = "/auth/session"
	case 1:
		lines = [2]string{"navigate", "text/html"}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Entry()+path, nil)
	if err != nil {
		v.fault("%v", err)
		return 0
	}
	req.Header.Set("Sec-Fetch-Mode", lines[0])
	req.Header.Set("Accept", lines[1])
	v.mu.Lock()
	least := v.newest[s]
	v.mu.Unlock()
	begun := time.Now()
	a, err := v.b.DoOnce(req)
	if ctx.Err() != nil {
		return 0
	}
	if err != nil {
		v.fault("a request failed: %v", err)
		return 0
	}
	v.count(a.Status)
	v.judge(s, a, path, least, begun)
	return a.Status
}

// judge: served as before or later, or asked to come back, and nothing else.
func (v *visitor) judge(s *stack.Stack, a stack.Answer, path string, least int, begun time.Time) {
	v.visitors.mu.Lock()
	gone := v.gone
	v.visitors.mu.Unlock()
	for _, line := range a.Header.Values("Set-Cookie") {
		if strings.HasPrefix(line, sessionCookie+"=") {
			v.fault("an answer %d touches the session's cookie", a.Status)
		}
	}
	switch {
	case a.Status == http.StatusOK && path == "/":
		v.sees(s, a, least, begun)
	case a.Status == http.StatusOK:
		var who struct {
			SignedIn bool `json:"signed_in"`
		}
		if json.Unmarshal([]byte(a.Body), &who) != nil || !who.SignedIn {
			v.fault("/auth/session: %s", a.Body)
		}
	case a.Status == http.StatusServiceUnavailable:
		if a.Header.Get("Retry-After") == "" {
			v.fault("a 503 for %s without Retry-After after %v: %.100q", path, time.Since(begun).Round(100*time.Millisecond), a.Body)
		}
	case gone && (a.Status == http.StatusUnauthorized || a.Status == http.StatusFound):
	default:
		v.fault("%s is answered %d %s %.100s", path, a.Status, a.Location, a.Body)
	}
}

// sees: a token of this login, alive, and no older than this replica has served.
func (v *visitor) sees(s *stack.Stack, a stack.Answer, least int, begun time.Time) {
	token, err := a.AccessToken()
	if err != nil {
		v.fault("%v", err)
		return
	}
	got, ok := v.op.Access(token)
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case !ok || got.Family != v.family:
		v.fault("%s was served a token of another login", v.name)
	case got.Number < least:
		v.fault("a replica served token %d after %d", got.Number, least)
	case !begun.Before(got.Expires):
		v.fault("a token was served %v after its end", begun.Sub(got.Expires).Round(time.Second))
	}
	v.newest[s] = max(v.newest[s], got.Number)
	if begun.After(v.served) {
		v.served = begun
	}
}

// lastServed is when the last request began that anybody was served.
func (v *visitors) lastServed() (last time.Time) {
	for _, one := range v.each {
		one.mu.Lock()
		if one.served.After(last) {
			last = one.served
		}
		one.mu.Unlock()
	}
	return last
}

// number is that of the newest token that any replica has served to the visitor.
func (v *visitor) number() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Max(slices.Collect(maps.Values(v.newest)))
}

// allServed waits until every replica serves everybody.
func (v *visitors) allServed() {
	v.t.Helper()
	begun := time.Now()
	for _, one := range v.each {
		for _, s := range v.all {
			eventually(v.t, one.name+" is served", func() bool { return one.ask(v.t.Context(), s, 9) == http.StatusOK })
		}
	}
	v.t.Logf("all are served %v later", time.Since(begun).Round(10*time.Millisecond))
}

// allRefreshed waits until everybody has a token that is newer than now's.
func (v *visitors) allRefreshed() {
	v.t.Helper()
	before := make([]int, len(v.each))
	for i, one := range v.each {
		before[i] = one.number()
	}
	for i, one := range v.each {
		eventually(v.t, one.name+" has a newer token", func() bool { return one.number() > before[i] })
	}
}

// verdict: nothing was seen that must not be.
func (v *visitors) verdict() {
	v.t.Helper()
	v.leave()
	v.mu.Lock()
	defer v.mu.Unlock()
	for what, times := range v.wrong {
		v.t.Errorf("%d times %s", times, what)
	}
	for _, what := range slices.Sorted(maps.Keys(v.counts)) {
		v.t.Logf("%s: %d", what, v.counts[what])
	}
}

// kept: nobody had to log in again, beside others who did, and no token was used twice.
func (v *visitors) kept(others int) {
	v.t.Helper()
	l := v.op.Ledger()
	if l.Logins != len(v.each)+others || l.Reuse != 0 || l.ConsumedTwice != 0 || l.RevokedBy[op.ReasonReuse] != 0 {
		v.t.Errorf("%d logins of %d, %d requests with a spent token, %d families revoked: %v", l.Logins, len(v.each)+others, l.Reuse, l.Revoked, l.RevokedBy)
	}
	v.t.Logf("%d refreshes", l.ReceivedBy["refresh_token"]["200"])
}
