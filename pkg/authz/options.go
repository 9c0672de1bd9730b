package authz

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// Sessions looks a session up. session.ErrNotFound and session.ErrEnded mean
// that there is none; anything else, that the store is in trouble.
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
// is up: session.ErrEnded then. After any other error the request must not be
// served.
type Activity interface {
	Use(ctx context.Context, v *session.View, now time.Time) error
}

// Options of New. Rules, WaitOnDue and Now may be left out.
type Options struct {
	Sessions  Sessions // its views carry what an Encoder prepared
	Refresher Refresher
	Activity  Activity
	// RP serves PathPrefix, and GET <PathPrefix>login?return_to=… for navigations
	// without a session. Its request's context ends before Envoy gives up: what
	// must not be cut off is detached by RP.
	RP          http.Handler
	ExternalURL *url.URL // the origin that browsers see, spelled as they do in Origin
	PathPrefix  string   // "/auth/"
	CookieName  string   // of the session cookie
	// OwnCookies begins the names of all other cookies of ours.
	OwnCookies string
	Rules      []Rule // the first match decides; none: session required, bearer stripped
	// Encoder prepares the headers of all that is served. A view that comes from another
	// one, of settings before or after, is prepared anew.
	Encoder   *Encoder
	WaitOnDue bool          // refresh.on_due: wait
	MaxWait   time.Duration // longest wait for a refresh
	Metrics   *Metrics
	Log       *slog.Logger
	Now       func() time.Time // nil: time.Now; for clock-step tests
}

func (o *Options) check() error {
	switch {
	case o.Sessions == nil, o.Refresher == nil, o.Activity == nil, o.RP == nil, o.Encoder == nil, o.Metrics == nil, o.Log == nil:
		return errors.New("sessions, refresher, activity, relying party, encoder, metrics and log are required")
	case o.ExternalURL == nil || o.ExternalURL.Scheme == "" || o.ExternalURL.Host == "":
		return errors.New("external url is not an origin")
	case len(o.PathPrefix) < 3 || o.PathPrefix[0] != '/' || !strings.HasSuffix(o.PathPrefix, "/"):
		return errors.New("path prefix does not begin and end with a slash")
	case o.CookieName == "" || o.OwnCookies == "": // an empty prefix would name every cookie
		return errors.New("names of our cookies are missing")
	case o.MaxWait <= 0:
		return errors.New("longest wait is not positive")
	}
	return nil
}
