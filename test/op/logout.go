package op

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"

	zop "github.com/zitadel/oidc/v3/pkg/op"
)

type browserKey struct{}

// endSession is RP-initiated logout. The library checks the id_token_hint and
// the post_logout_redirect_uri; the cookie is ours to pass in and to clear.
func (p *Provider) endSession(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	in, _ := p.storage.browserOf(r)
	a := newAnswer()
	p.library.ServeHTTP(a, r.WithContext(context.WithValue(r.Context(), browserKey{}, in.sid)))
	if _, alive := p.storage.browserOf(r); !alive && a.status == http.StatusFound {
		http.SetCookie(w, p.cookie("", -1))
	}
	a.writeTo(w)
}

// TerminateSessionFromRequest implements zop.CanTerminateSessionFromRequest. The
// hint says which browser session ends; without a hint it is the cookie's. Every
// family that was granted in that session dies with it, and no other: another
// browser of the same user stays signed in.
func (s *storage) TerminateSessionFromRequest(ctx context.Context, r *zop.EndSessionRequest) (string, error) {
	sid, _ := ctx.Value(browserKey{}).(string)
	if r.IDTokenHintClaims != nil {
		sid = r.IDTokenHintClaims.SessionID
	}
	if sid != "" {
		s.end(sid, r.ClientID)
	}
	return r.RedirectURI, nil
}

func (s *storage) end(sid, client string) {
	s.mu.Lock()
	defer s.unlock()
	known := len(s.browsers)
	maps.DeleteFunc(s.browsers, func(_ digest, in *signIn) bool { return in.sid == sid })
	ended := len(s.browsers) < known
	for _, f := range s.bySession[sid] {
		ended = ended || f.revoked == ""
		s.revoke(f, ReasonLogout)
	}
	delete(s.bySession, sid)
	if ended {
		s.book.logouts++
		s.note(Event{Kind: KindLogout, Client: client})
	}
}

// TerminateSession implements zop.AuthStorage; the library prefers
// TerminateSessionFromRequest.
func (s *storage) TerminateSession(context.Context, string, string) error {
	return errors.New("terminate session: no request")
}

func (p *Provider) loggedOut(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "You are signed out.\n") // the caller left; nobody to tell
}
