package authz

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/prometheus/client_golang/prometheus"
)

// Sessions looks a session up. session.ErrNotFound and session.ErrEnded mean
// that there is none; anything else that the store is in trouble.
type Sessions interface {
	Get(ctx context.Context, id session.ID) (*session.View, error)
}

// Refresher keeps tokens fresh. Both methods join the session's one flight.
type Refresher interface {
	Start(v *session.View) // never blocks
	// Wait returns the flight's view, or *session.RefreshError, session.ErrEnded,
	// session.ErrUnavailable, or the cause of ctx.
	Wait(ctx context.Context, v *session.View) (*session.View, error)
}

// Activity records that a request uses a session, and ends sessions whose time
// is up: session.ErrEnded then.
type Activity interface {
	Use(ctx context.Context, v *session.View, now time.Time) error
}

// Options of New.
type Options struct {
	Sessions  Sessions
	Refresher Refresher
	Activity  Activity
	// RP serves PathPrefix, and GET <PathPrefix>login?return_to=… for navigations
	// without a session.
	RP          http.Handler
	ExternalURL *url.URL // the origin that browsers see
	PathPrefix  string   // "/auth/"
	CookieName  string   // of the session cookie
	// OwnCookies begins the names of all other cookies of ours.
	OwnCookies string
	Rules      []Rule // the first match decides; none: session required, bearer stripped
	Identity   Identity
	WaitOnDue  bool          // refresh.on_due: wait
	MaxWait    time.Duration // longest wait for a refresh
	Registerer prometheus.Registerer
	Log        *slog.Logger
	Now        func() time.Time // nil: time.Now; for clock-step tests
}

// Identity names the headers that tell upstreams who the user is. An empty name
// is not sent. No client can supply any of them, in any spelling.
type Identity struct {
	UserID    string
	Email     string
	Name      string
	AuthTime  string            // of the real authentication, RFC 3339 in UTC
	SessionID string            // a keyed hash, never the id
	Claims    map[string]string // further claim → header
}
