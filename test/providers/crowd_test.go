//go:build providers

package providers

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/admin"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/test/envoytest"
	"github.com/lamplighter/lamplighter/test/stack"
)

type starter func(t testing.TB, url string) *Provider

// crowd is everybody at one product, in front of one provider.
type crowd struct {
	t     *testing.T
	s     *stack.Stack
	p     *Provider
	admin *admin.Client
	users []*user
	// renewAt is when the token of the last who logged in has expired.
	renewAt time.Time
	asked   atomic.Int64 // tokens that the provider was asked about, and accepted
}

type user struct {
	number  int
	name    string
	browser *stack.Browser
	session string // as the log names it
}

// patient: a busy machine makes the provider slow, and what is tested is how
// often it is asked, not how soon it answers.
const patient = "refresh: {max_wait: 20s, deadline: 30s}\n"

func patientEnvoy(bootstrap map[string]any) error {
	filter, err := envoytest.Lookup(bootstrap, "static_resources", "listeners", 0, "filter_chains", 0, "filters", 0, "typed_config", "http_filters", 0, "typed_config", "grpc_service")
	if err != nil {
		return err
	}
	filter["timeout"] = "25s"
	retry, err := envoytest.Lookup(filter, "retry_policy", "retry_back_off")
	if err != nil {
		return err
	}
	retry["max_interval"] = "30s" // Envoy's timeout of each try, too
	return nil
}

func newCrowd(t *testing.T, start starter) *crowd {
	c := &crowd{t: t}
	c.s = stack.Start(t, stack.Options{
		Plain:  true, // 4,000 requests are for two processors what they are
		Config: patient + "sweep: {enabled: false}",
		Mutate: patientEnvoy,
		Foreign: func(t testing.TB, url string) (string, string) {
			c.p = start(t, url)
			return c.p.Issuer, c.p.Config
		},
	})
	c.admin = admin.NewClient(c.s.Lamplighter.Admin)
	for i := range Users {
		u := &user{number: i, name: User(i), browser: c.s.Browser(t)}
		u.browser.Login("/", u.name).Bearer(t)
		handle, err := session.ParseHandle(u.browser.Cookie("__Host-bff_session"))
		if err != nil {
			t.Fatal(err)
		}
		u.session = handle.ID().String()
		c.users = append(c.users, u)
		live, err := c.look(u)
		if err != nil {
			t.Fatal(err)
		}
		if !live.Refreshable {
			t.Fatal("the provider gave no refresh token")
		}
		c.renewAt = session.Later(c.renewAt, windowOf(live).expired)
	}
	return c
}

// together runs f for all users at once, and waits for all.
func (c *crowd) together(what string, f func(*user)) {
	c.t.Helper()
	began := time.Now()
	var all sync.WaitGroup
	for _, u := range c.users {
		all.Go(func() { f(u) })
	}
	all.Wait()
	c.t.Logf("%s: %d users, %v", what, len(c.users), time.Since(began).Round(time.Millisecond))
}

// look is the session as lamplighter's operator sees it.
func (c *crowd) look(u *user) (*admin.Live, error) {
	s, err := c.admin.Session(c.t.Context(), u.session)
	if err != nil {
		return nil, err
	}
	if s.Live == nil {
		return nil, fmt.Errorf("%s is logged out: %s", u.name, s.Ended.Reason)
	}
	return s.Live, nil
}

// settled waits until a session is past revision rev and no refresh is under way.
func (c *crowd) settled(u *user, rev uint64) (*admin.Live, error) {
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		live, err := c.look(u)
		if err != nil {
			return nil, err
		}
		if live.Revision > rev && live.Attempt == nil {
			return live, nil
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("%s: no refresh within 20 s: %+v", u.name, *live)
		}
	}
}

// window is where decisions change in the life of a short token.
type window struct{ issued, due, expired time.Time }

func windowOf(live *admin.Live) window {
	life := time.Duration(live.AccessToken.LifetimeSeconds) * time.Second
	from := live.AccessToken.IssuedAt
	return window{issued: from, due: from.Add(life * 2 / 3), expired: from.Add(life * 9 / 10)}
}

// alive asks the provider about each token once. An error says that it is not,
// or could not be asked.
func (c *crowd) alive(tokens ...string) error {
	known := make(map[string]bool)
	for _, token := range tokens {
		if known[token] {
			continue
		}
		known[token] = true
		ok, err := c.p.Accepts(c.t.Context(), token)
		if err != nil {
			return err
		}
		if !ok {
			return errRefused
		}
		c.asked.Add(1)
	}
	return nil
}

var errRefused = errors.New("the provider refuses the token that the app got")

func (c *crowd) restartWithSweep() {
	c.t.Helper()
	c.s.WriteConfig(c.t, patient+"sweep: {enabled: true}")
	if err := c.s.Lamplighter.Terminate(); err != nil {
		c.t.Fatalf("stop lamplighter: %v", err)
	}
	c.s.Lamplighter.Start()
	c.admin = admin.NewClient(c.s.Lamplighter.Admin)
}
