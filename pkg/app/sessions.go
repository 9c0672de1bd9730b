package app

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/lamplighter/lamplighter/pkg/admin"
	"github.com/lamplighter/lamplighter/pkg/lifecycle"
	"github.com/lamplighter/lamplighter/pkg/refresh"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

// operator fills the admin listener's session pages. It copies what may be seen
// field by field: what is added to a session later is not shown by accident.
type operator struct {
	store     lifecycle.Store
	life      *lifecycle.Lifecycle
	refresher *refresh.Refresher
	policy    func() session.Policy
	app       string // whose users are meant
	provider  string // issuer
	log       *slog.Logger
	now       func() time.Time
}

// Lookup implements admin.Sessions.
func (o operator) Lookup(ctx context.Context, prefix []byte, limit int) ([]session.ID, error) {
	return o.store.Lookup(ctx, prefix, limit)
}

// View implements admin.Sessions. It does not use the session.
func (o operator) View(ctx context.Context, id session.ID) (admin.Session, error) {
	r, err := o.store.Get(ctx, id)
	if err == nil {
		if over := o.life.Over(r); over != nil {
			err = over
		}
	}
	if end, ok := errors.AsType[*session.EndedError](err); ok {
		return endedView(id, end, o.now()), nil
	}
	if err != nil {
		return admin.Session{}, told(err)
	}
	return liveView(r, o.life.LastUse(r), o.policy(), o.now()), nil
}

// Refresh implements admin.Sessions.
func (o operator) Refresh(ctx context.Context, id session.ID) error {
	s, err := o.life.Get(ctx, id) // one whose time is up is not brought back
	if err != nil {
		return told(err)
	}
	if s.Token.Refresh.IsZero() {
		return admin.ErrNotRefreshable
	}
	o.log.Info("operator asks for a refresh", "session", id)
	_, err = o.refresher.Force(ctx, id)
	return err
}

// told is an error of the store in the words of admin.
func told(err error) error {
	if errors.Is(err, store.ErrUnreadable) {
		return admin.ErrUnreadable
	}
	return err
}

func endedView(id session.ID, end *session.EndedError, now time.Time) admin.Session {
	return admin.Session{
		ID: id.String(), State: admin.StateEnded, AsOf: now, History: history(end.History),
		Ended: &admin.Ended{Reason: end.Reason, Why: admin.Why(end.Reason), EndedAt: end.At},
	}
}

func liveView(r store.Record, used time.Time, policy session.Policy, now time.Time) admin.Session {
	s, token := r.Session, r.Session.Token
	live := &admin.Live{
		Revision: uint64(s.Revision), App: s.App, Provider: s.Provider,
		CreatedAt: s.CreatedAt, EndsAt: s.EndsAt, UsedAt: used,
		AccessToken: admin.AccessToken{
			IssuedAt: token.Issued, ExpiresAt: token.Exp(), LifetimeSeconds: int64(token.Lifetime.Seconds()),
			Freshness: policy.Window(s).Freshness(now).String(),
		},
		Refreshable: !token.Refresh.IsZero(), DueAt: r.DueAt,
		InDoubt: r.InDoubt, ReplayAt: r.ReplayAt, NotBefore: r.NotBefore, Failures: r.Failures,
	}
	if a := r.Attempt; a != nil {
		live.Attempt = &admin.Attempt{By: a.By, BeganAt: a.Began, Tries: a.Tries, InDoubt: a.InDoubt}
	}
	if r.LastClass != 0 {
		live.LastClass = r.LastClass.String()
	}
	return admin.Session{ID: s.ID.String(), State: admin.StateLive, AsOf: now, Live: live, History: history(r.History)}
}

func history(outcomes []session.Outcome) []admin.Outcome {
	h := make([]admin.Outcome, 0, len(outcomes)) // [] in JSON, not null
	for _, o := range outcomes {
		h = append(h, admin.Outcome{At: o.At, By: o.By, Class: o.Class.String(), Revision: uint64(o.Revision), Replay: o.Replay})
	}
	return h
}
