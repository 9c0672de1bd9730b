package rp

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// signedIn is what GET <prefix>session tells the site's own scripts.
type signedIn struct {
	SignedIn  bool       `json:"signed_in"`
	User      *user      `json:"user,omitempty"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"` // absolute end
}

type user struct {
	Sub   string `json:"sub"`
	Email string `json:"email,omitempty"`
	Name  string `json:"name,omitempty"`
}

// session tells who is signed in, and nothing secret. Asking is not a use.
func (p *RP) session(w http.ResponseWriter, r *http.Request) {
	h, ok := p.handle(r)
	if !ok {
		tell(w, http.StatusUnauthorized, signedIn{})
		return
	}
	s, err := p.opts.Sessions.Get(r.Context(), h.ID())
	switch {
	case err != nil && !session.Gone(err):
		p.opts.Log.Debug("session cannot be read", "session", h.ID(), "error", err)
		problem(w, http.StatusServiceUnavailable, "The session store does not answer. Try again in a moment.")
	case err != nil, !p.opts.Now().Before(s.EndsAt):
		tell(w, http.StatusUnauthorized, signedIn{})
	default:
		end := s.EndsAt.UTC().Truncate(time.Second)
		who := s.Identity
		tell(w, http.StatusOK, signedIn{SignedIn: true, User: &user{Sub: who.Subject, Email: who.Email, Name: who.Name}, ExpiresAt: &end})
	}
}

func tell(w http.ResponseWriter, status int, v signedIn) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the browser left; nobody to tell
}
