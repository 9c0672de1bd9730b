package refresh

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// load is what the active sessions ask of the sweep.
type load struct {
	sessions    int
	mean, least time.Duration // life of their access tokens
	needed      float64       // starts a second
}

// fit tells, in one line, which settings do not fit the access tokens that the
// provider really gives, or how many there are; again only when that changes.
type fit struct{ told []string }

func (f *fit) tell(o *Settings, l load, log *slog.Logger) {
	if l.sessions == 0 {
		return
	}
	why := misfits(o, l)
	if slices.Equal(why, f.told) {
		return
	}
	f.told = why
	if len(why) == 0 {
		return
	}
	level := slog.LevelWarn
	if slices.Equal(why, []string{thresholdCut}) { // as it must be with the defaults and five-minute tokens
		level = slog.LevelInfo
	}
	w := o.Policy.Window(refreshableFor(l.least))
	log.Log(context.Background(), level, "settings do not fit the access tokens", "why", why,
		"access_token_life", l.least, "mean_access_token_life", l.mean, "active_sessions", l.sessions, "needed_per_second", l.needed,
		"token_refresh_threshold", o.Policy.Threshold, "due_before_expiry", w.Exp.Sub(w.DueAt), "refresh_deadline", o.Deadline,
		"check_interval", o.Sweep.CheckInterval, "active_within", o.Sweep.ActiveWithin, "sweep_rate", o.Sweep.Rate)
}

const thresholdCut = "token_refresh_threshold is more than a third of a token's life, a third is taken"

// misfits lists what does not fit. check_interval never is a reason: the sweep
// wakes for the earliest token that is due, however long the interval.
func misfits(o *Settings, l load) (why []string) {
	w := o.Policy.Window(refreshableFor(l.least))
	due := w.ExpiredAt.Sub(w.DueAt)
	say := func(is bool, what string) {
		if is {
			why = append(why, what)
		}
	}
	say(l.least < session.MinSweptLifetime, "access tokens live too short to be refreshed in the background")
	say(o.Policy.Threshold > w.Exp.Sub(w.DueAt), thresholdCut)
	say(o.Deadline > due, "a refresh may take refresh.deadline, longer than a token is due before it expires")
	// Who pauses no longer than that meets a due token, and refreshes it without the sweep.
	say(o.Sweep.ActiveWithin < due, "sweep.active_within is shorter than a token is due before it expires, so the sweep spares no session a wait")
	say(l.needed > float64(o.Sweep.Rate), "sweep.rate is lower than the active sessions need")
	return why
}

// refreshableFor is a session whose token lives for life and can be refreshed.
func refreshableFor(life time.Duration) session.Session {
	return session.Session{Token: session.Token{Lifetime: life, Refresh: session.RefreshToken{Secret: session.NewSecret("any")}}}
}

// watchNeed looks at the active sessions once a minute, however busy the sweep is.
func (r *Refresher) watchNeed(ctx context.Context) {
	for r.need(r.opts.Now()); pause(ctx, time.Minute); {
		r.need(r.opts.Now())
	}
}

// need works out how many starts a second the active sessions ask for.
func (r *Refresher) need(now time.Time) {
	n, mean, least := r.opts.Sessions.Active(now.Add(-r.settings().Sweep.ActiveWithin))
	l := load{sessions: n, mean: mean, least: least, needed: neededRate(n, mean, r.settings().Policy)}
	r.opts.Metrics.neededRate.Set(l.needed)
	r.fit.tell(r.settings(), l, r.opts.Log)
}

// neededRate is max(N/(L−A−S/2), N/(A+S+60)) a second.
func neededRate(n int, life time.Duration, p session.Policy) float64 {
	if n == 0 || life < session.MinSweptLifetime {
		return 0
	}
	w := p.Window(refreshableFor(life))
	a, spread := w.Exp.Sub(w.DueAt), w.Spread
	return max(float64(n)/(life-a-spread/2).Seconds(), float64(n)/(a+spread+time.Minute).Seconds())
}
