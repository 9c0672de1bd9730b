package storetest

import (
	"crypto/rand"
	"maps"
	"slices"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

// newSession has every field set, times to the nanosecond: a store that rounds
// or forgets one is found out. It is due in 40 minutes, its token expires in an
// hour, it ends in 8.
func newSession() session.Session {
	now := time.Now().Round(0).Add(123456789)
	return session.Session{
		ID: session.NewHandle().ID(), Revision: 1, App: "default", Provider: "https://op.example.com/realms/a",
		Token: session.Token{
			Access:  session.AccessToken{Secret: secret()},
			Refresh: session.RefreshToken{Secret: secret()},
			ID:      session.IDToken{Secret: secret()},
			Issued:  now.Add(-time.Second), Lifetime: time.Hour + 1,
		},
		Identity: session.Identity{
			Subject: rand.Text(), SID: rand.Text(), Email: "u@example.com", Name: "Zoë \"Z\" <&>\u2028\x00☃",
			AuthTime: now.Add(-2 * time.Second),
			Claims:   map[string]string{"groups": "a,b", "empty": "", "": "no name"},
		},
		CreatedAt: now, EndsAt: now.Add(8 * time.Hour), SweepAt: now.Add(40 * time.Minute),
	}
}

// bare has only what a session cannot do without: absent must stay absent.
func bare(s *session.Session) {
	*s = session.Session{
		ID: s.ID, Revision: 1, App: s.App, Provider: s.Provider,
		Token:     session.Token{Access: s.Token.Access, Issued: s.Token.Issued, Lifetime: s.Token.Lifetime},
		Identity:  session.Identity{Subject: s.Identity.Subject},
		CreatedAt: s.CreatedAt, EndsAt: s.EndsAt,
	}
}

// renewed is s one revision later, everything that can change changed.
func renewed(s session.Session) session.Session {
	next := newSession()
	next.ID, next.Revision, next.CreatedAt, next.EndsAt = s.ID, s.Revision+1, s.CreatedAt, s.EndsAt
	next.App, next.Provider = s.App, s.Provider
	return next
}

// outcome is what the history says of an attempt.
func outcome(a store.Attempt, class session.Class) session.Outcome {
	return session.Outcome{At: a.Began, By: a.By, Class: class, Revision: a.Revision, Replay: a.InDoubt}
}

func secret() session.Secret { return session.NewSecret(rand.Text()) }

func newAttemptID() (id store.AttemptID) {
	_, _ = rand.Read(id[:]) // never fails
	return id
}

// clone shares nothing with r.
func clone(r store.Record) store.Record {
	r.Session.Identity.Claims = maps.Clone(r.Session.Identity.Claims)
	r.History = slices.Clone(r.History)
	if r.Attempt != nil {
		open := *r.Attempt
		r.Attempt = &open
	}
	return r
}
