package refresh

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// fit tells, in one line, which settings do not fit the access tokens that the
// provider really gives; again only when that changes.
type fit struct{ told []string }

func (f *fit) tell(o Options, n int, life time.Duration) {
	if n == 0 {
		return
	}
	why := misfits(o, life)
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
	w := o.Policy.Window(refreshableFor(life))
	o.Log.Log(context.Background(), level, "settings do not fit the access tokens", "why", why, "access_token_life", life,
		"token_refresh_threshold", o.Policy.Threshold, "due_before_expiry", w.Exp.Sub(w.DueAt), "refresh_deadline", o.Deadline,
		"check_interval", o.Sweep.CheckInterval, "active_within", o.Sweep.ActiveWithin, "sweep_rate", o.Sweep.Rate)
}

const thresholdCut = "token_refresh_threshold is more than a third of a token's life, a third is taken"

// misfits lists what does not fit tokens of that life.
func misfits(o Options, life time.Duration) (why []string) {
	w := o.Policy.Window(refreshableFor(life))
	ahead := w.Exp.Sub(w.DueAt)
	say := func(is bool, what string) {
		if is {
			why = append(why, what)
		}
	}
	say(life < session.MinSweptLifetime, "access tokens live too short to be refreshed in the background")
	say(o.Policy.Threshold > ahead, thresholdCut)
	say(o.Deadline > w.ExpiredAt.Sub(w.DueAt), "a refresh may take refresh.deadline, longer than a token is due before it expires")
	say(o.Sweep.ActiveWithin < life-ahead-w.Spread, "sweep.active_within is shorter than a token stays fresh, so sessions in use are not refreshed ahead of requests")
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

// need works out how many starts a second the active sessions ask for, and says
// so when the configured rate is less.
func (r *Refresher) need(now time.Time) {
	n, life, least := r.opts.Sessions.Active(now.Add(-r.opts.Sweep.ActiveWithin))
	need := neededRate(n, life, r.opts.Policy)
	r.opts.Metrics.neededRate.Set(need)
	r.fit.tell(r.opts, n, least)
	if need > float64(r.opts.Sweep.Rate) {
		r.opts.Log.Warn("sweep.rate is lower than the active sessions need", "needed_per_second", need,
			"sweep_rate", r.opts.Sweep.Rate, "active_sessions", n, "mean_access_token_life", life)
	}
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
