package op

import (
	"context"
	"crypto/rand"
	"time"
)

// refreshToken is one generation.
type refreshToken struct {
	family     *family
	generation int       // 1, 2, …
	spent      time.Time // when a refresh consumed it and issued the next; zero while it is good
	cameBack   bool      // presented again after that
	next       *successor
}

// successor is what a token in its grace is answered with again.
type successor struct {
	token *refreshToken
	text  string
}

// rotate checks a refresh token and consumes it, in one step. Of any number at
// once with one token, under the default [Policy]:
//
//  1. the first to get mu finds it live, spends it and gets the next one;
//  2. every other finds it spent, which is reuse, and revokes the family;
//  3. so the first has its answer, and tokens that are dead on arrival.
func (s *storage) rotate(ctx context.Context, r *refreshRequest, presented string) (id, refresh string, expires time.Time, err error) {
	s.mu.Lock()
	defer s.unlock()
	t, f := r.token, r.token.family
	i := issueFrom(ctx)
	i.family, i.generation, i.spent = f.name, t.generation, !t.spent.IsZero()
	refresh, good := "", false
	if t.spent.IsZero() {
		refresh, good = s.spend(t, presented)
	} else {
		refresh, good = s.again(t)
	}
	if !good {
		return "", "", time.Time{}, errDeadGrant()
	}
	s.book.accepted++
	i.accepted = true
	s.note(Event{Kind: KindRefresh, Client: f.client, Family: f.name, Generation: t.generation})
	if s.policy.EndAccess {
		f.accessesEnd = f.accesses
	}
	id, expires = s.newAccessToken(ctx, f, r.scopes)
	return id, refresh, expires, nil
}

// spend consumes a token that was never consumed, if its family is alive and
// tokens rotate, and returns the one to answer with. The caller holds mu.
func (s *storage) spend(t *refreshToken, presented string) (refresh string, good bool) {
	f := t.family
	switch {
	case f.revoked != "" || f.replaced:
		return "", false
	case !s.issueRefresh, s.policy.Rotation == RotateNone:
		return "", true
	case s.policy.Rotation == RotateNoneRepeat:
		return presented, true
	}
	t.spent = time.Now()
	f.consumed++
	s.book.consumed++
	next, refresh := s.nextRefreshToken(f)
	if s.policy.Rotation == RotateGraceSame {
		t.next = &successor{next, refresh}
	}
	return refresh, true
}

// again books a spent token that came back, and forgives or punishes it. The
// caller holds mu.
func (s *storage) again(t *refreshToken) (refresh string, good bool) {
	f := t.family
	s.book.reuse++
	if !t.cameBack {
		t.cameBack = true
		s.book.consumedTwice++
	}
	s.note(Event{Kind: KindReuse, Client: f.client, Family: f.name, Generation: t.generation})
	if f.revoked == "" && !f.replaced && s.policy.within(t.spent) {
		switch {
		case s.policy.Rotation == RotateGraceFork:
			s.book.forgiven++
			_, refresh = s.nextRefreshToken(f)
			return refresh, true
		case t.next != nil && t.next.token.spent.IsZero():
			s.book.forgiven++
			return t.next.text, true
		}
	}
	if !s.policy.SpareFamily {
		s.revoke(f, ReasonReuse)
	}
	return "", false
}

// nextRefreshToken issues the next generation. The caller holds mu.
func (s *storage) nextRefreshToken(f *family) (*refreshToken, string) {
	f.generations++
	text := rand.Text()
	t := &refreshToken{family: f, generation: f.generations}
	s.refreshes[digestOf(text)] = t
	return t, text
}

// own enters f as the last family of its owner, and under OnePerUser ends those
// before it. The caller holds mu.
func (s *storage) own(f *family) {
	key := owner{f.signIn.user.sub, f.client}
	f.earlier = s.latest[key]
	s.latest[key] = f
	if !s.policy.OnePerUser {
		return
	}
	for e := f.earlier; e != nil && !e.replaced; e = e.earlier {
		if e.revoked != "" {
			continue
		}
		e.replaced = true
		s.book.replaced++
		s.book.inactive++
		s.note(Event{Kind: KindReplace, Client: e.client, Family: e.name})
	}
	f.earlier = nil // all of them are done with
}
