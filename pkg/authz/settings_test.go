package authz

import (
	"slices"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// A change of the settings renames a header. What the cache, or a flight that began
// before, hands out by the others' settings is served by the front's own: what it sets
// is set, and a client supplies none of it.
func TestViewsOfOtherSettings(t *testing.T) {
	t.Parallel()
	other := NewEncoder(Identity{UserID: "X-Other"}, nil)
	prepared := func(v *session.View) *session.View {
		v.Headers, v.Size = other.Encode(v.Session)
		return v
	}
	for name, tt := range map[string]struct {
		view func(session.Handle) *session.View
		wait func(session.Handle) *session.View
	}{
		"of the cache":   {view: func(h session.Handle) *session.View { return prepared(freshView(h)) }},
		"of a flight":    {view: aged(61 * time.Second), wait: func(h session.Handle) *session.View { return prepared(freshView(h)) }},
		"while it lives": {view: func(h session.Handle) *session.View { return prepared(aged(55 * time.Second)(h)) }},
	} {
		for _, as := range forms {
			f, h := known(t, tt.view)
			f.wait = refreshes(nil, session.ErrUnavailable)
			if tt.wait != nil {
				f.wait = refreshes(tt.wait(h), nil)
			}
			r := f.do(t, send("GET", "/", "Cookie: "+sessionCookie(h), "X-User-ID: mallory", "X_User_Id: mallory", "X-User-Groups: admin"), as)
			r.mustServe(t)
			if got := r.upstream["x-other"]; got != nil {
				t.Errorf("%s, %s: a header of the other settings is sent: %q", name, as, got)
			}
			if !slices.Equal(r.upstream["x-user-id"], []string{"u1"}) {
				t.Errorf("%s, %s: the user is %q", name, as, r.upstream["x-user-id"])
			}
		}
	}
}
