//go:build soak

package soak

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lamplighter/lamplighter/test/pause"
	"github.com/lamplighter/lamplighter/test/stack"
)

const (
	sessionCookie = "__Host-bff_session"
	thinkTime     = 4 * time.Second // between two steps of a user, in the mean
)

// user is one person with one browser at a time.
type user struct {
	c       *crowd
	name    string
	rand    *rand.Rand
	browser *stack.Browser
	family  string // of the tokens of this login
	handle  string
	retired string // handle of a session that is over
	newest  atomic.Pointer[access]
}

func (c *crowd) user(n int) *user {
	return &user{c: c, name: fmt.Sprintf("canary-user-%06d", n), rand: rand.New(rand.NewPCG(7, uint64(n)))}
}

// login opens a new browser: one that logs in three times within a minute is
// shown a page about it.
func (u *user) login() bool {
	for u.c.t.Context().Err() == nil {
		u.browser = stack.NewBrowser(u.c.t, u.c.s.URL, u.c.spy)
		u.newest.Store(nil)
		a, err := u.browser.TryLogin("/", u.name)
		if err == nil && a.Status == http.StatusOK {
			got, ok := u.identity(a)
			if !ok {
				return false
			}
			u.family, u.handle = got.Family, u.browser.Cookie(sessionCookie)
			u.newest.Store(&got)
			u.c.begin(u.family, u.name)
			u.c.count("logins")
			return true
		}
		u.c.fault("a login failed: %d %.200s %v", a.Status, a.Body, err)
		pause.For(u.c.t.Context(), time.Second)
	}
	return false
}

// live makes steps until ctx is done. quiet: nothing but requests.
func (u *user) live(ctx context.Context, quiet bool) {
	for pause.For(ctx, time.Duration(u.rand.ExpFloat64()*float64(thinkTime))) {
		draw := u.rand.IntN(1000)
		switch {
		case quiet:
			u.requests(ctx, 1)
		case draw < 5:
			if !u.logout(ctx) {
				return
			}
		case draw < 55:
			u.hangsUp(ctx)
		case draw < 105:
			u.requests(ctx, 4)
		case draw < 125:
			u.ghost("a session that is over")
		default:
			u.requests(ctx, 1)
		}
	}
}

// requests makes n at once.
func (u *user) requests(ctx context.Context, n int) {
	var all sync.WaitGroup
	var denied atomic.Bool
	m := u.now()
	for range n {
		all.Go(func() {
			a, err := u.browser.TryFetch(context.WithoutCancel(ctx), "/")
			if err != nil {
				u.c.fault("a request failed: %v", errors.Unwrap(err))
				return
			}
			if u.judge(a, m) == http.StatusUnauthorized {
				denied.Store(true)
			}
		})
	}
	all.Wait()
	if denied.Load() {
		u.denied(ctx, m)
	}
}

// hangsUp leaves a request at a random moment of it.
func (u *user) hangsUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(u.rand.IntN(int(15*time.Millisecond))))
	defer cancel()
	m := u.now()
	a, err := u.browser.TryFetch(ctx, "/")
	if err != nil {
		u.c.count("requests left by the client")
		return
	}
	u.judge(a, m)
}

// logout ends the session while requests are under way. Whatever begins after
// its answer is not allowed.
func (u *user) logout(ctx context.Context) bool {
	var racing sync.WaitGroup
	m := u.now()
	for range 2 {
		racing.Go(func() {
			if a, err := u.browser.TryFetch(context.WithoutCancel(ctx), "/"); err == nil {
				u.judge(a, m)
			}
		})
	}
	a, err := u.browser.TryPost("/auth/logout")
	if err != nil || a.Status != http.StatusSeeOther {
		u.c.fault("a logout: %d %v", a.Status, err)
	}
	u.retired = u.handle
	u.ghost("a session after its logout")
	racing.Wait()
	u.ghost("a session after its logout")
	u.c.loggedOut(u.family)
	u.c.count("logouts")
	return u.login()
}

// ghost presents the handle of a session that is over.
func (u *user) ghost(what string) {
	if u.retired == "" {
		return
	}
	req, err := http.NewRequest(http.MethodGet, u.c.s.URL+"/", nil)
	if err != nil {
		u.c.fault("%v", err)
		return
	}
	req.Header.Set("Cookie", sessionCookie+"="+u.retired)
	resp, err := u.c.transport.RoundTrip(req)
	if err != nil {
		u.c.fault("a request failed: %v", err)
		return
	}
	_ = resp.Body.Close()
	u.c.count("requests of " + what)
	if resp.StatusCode != http.StatusUnauthorized {
		u.c.fault("%s was answered %d", what, resp.StatusCode)
	}
}

// denied finds out whether the session is gone of which a request of m was
// refused, and logs in again if so.
func (u *user) denied(ctx context.Context, m moment) {
	a, err := u.browser.TryFetch(context.WithoutCancel(ctx), "/auth/session")
	switch {
	case err != nil || a.Status != http.StatusOK && a.Status != http.StatusUnauthorized:
		u.c.fault("/auth/session: %d %v", a.Status, err)
	case a.Status == http.StatusOK && strings.Contains(a.Body, `"signed_in":true`):
		u.c.deny(u.family, m)
	default:
		u.c.lose(u.family)
		u.retired = u.handle
		u.ghost("a session that is over")
		u.login()
	}
}
