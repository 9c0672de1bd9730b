package stack

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/seal"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store/boltstore"
)

// Session is one that Options.Sessions has put into the store.
type Session struct {
	Cookie string // name and value
	Access string // the token that the app is to see
}

// What the tokens of a large provider weigh: 3,000 bytes a session.
const (
	accessSize  = 1200
	refreshSize = 700
	idSize      = 1100
)

// fill writes n sessions into the store that lamplighter is about to open, as if
// their users had just logged in. The provider does not know them: nothing is due
// for half an hour.
func (s *Stack) fill(t testing.TB, n int) {
	t.Helper()
	keys, err := seal.ReadKeys(s.File("keys"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := boltstore.Open(boltstore.Options{Path: s.File("sessions.db"), Keys: keys, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	s.Sessions = make([]Session, n)
	errs := make([]error, n)
	var all sync.WaitGroup
	slots := make(chan struct{}, 1000) // the store writes so many at a time
	for i := range n {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			var ses session.Session
			s.Sessions[i], ses = s.newSession(i)
			errs[i] = b.Create(t.Context(), ses)
		})
	}
	all.Wait()
	for _, err := range append(errs, b.Close()) {
		if err != nil {
			t.Fatalf("fill the store: %v", err)
		}
	}
}

func (s *Stack) newSession(i int) (Session, session.Session) {
	h, now := session.NewHandle(), time.Now()
	access := opaque(accessSize)
	ses := session.Session{
		ID: h.ID(), Revision: 1, App: "default", Provider: s.Issuer,
		Token: session.Token{
			Access:  session.AccessToken{Secret: session.NewSecret(access)},
			Refresh: session.RefreshToken{Secret: session.NewSecret(opaque(refreshSize))},
			ID:      session.IDToken{Secret: session.NewSecret(opaque(idSize))},
			Issued:  now, Lifetime: time.Hour,
		},
		Identity: session.Identity{
			Subject: fmt.Sprint("subject-", i), SID: opaque(22), Email: fmt.Sprintf("user%d@example.com", i), Name: fmt.Sprint("User ", i), AuthTime: now,
		},
		CreatedAt: now, EndsAt: now.Add(8 * time.Hour),
	}
	ses.SweepAt = session.Policy{Threshold: 5 * time.Minute}.SweepAt(ses)
	return Session{"__Host-bff_session=" + h.Reveal(), access}, ses
}

// opaque is a token of n characters, which nothing can compress.
func opaque(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)[:n]
}
