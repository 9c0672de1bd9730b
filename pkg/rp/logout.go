package rp

import (
	"net/http"

	"github.com/lamplighter/lamplighter/pkg/cookie"
	"github.com/lamplighter/lamplighter/pkg/session"
)

// logout ends the session here and sends the browser on to end the one at the OP
// (OIDC RP-Initiated Logout section 2). The cookie goes only once the end is
// durable: a user who is told to be out must be out.
func (p *RP) logout(w http.ResponseWriter, r *http.Request) {
	if !p.sameOrigin(r.Header) {
		problem(w, http.StatusForbidden, "Only a page of this site can sign you out.")
		return
	}
	h, ok := p.handle(r)
	if !ok {
		redirect(w, http.StatusSeeOther, "/")
		return
	}
	last, err := p.opts.Sessions.End(r.Context(), h.ID(), session.ReasonLogout)
	if err != nil && !session.Gone(err) {
		p.opts.Log.Warn("logout failed, the session lives on", "session", h.ID(), "error", err)
		p.show(w, p.stillIn())
		return
	}
	http.SetCookie(w, cookie.Expire(p.opts.CookieName, p.opts.CookieDomain))
	redirect(w, http.StatusSeeOther, p.endSessionURL(last))
}

// endSessionURL is "/" when there is nothing to end at the OP.
func (p *RP) endSessionURL(last session.Session) string {
	op := p.found.Load()
	if op == nil || op.endSession == nil || last.Revision == 0 || last.Provider != p.opts.Issuer {
		return "/"
	}
	to := *op.endSession
	q := to.Query()
	q.Set("client_id", p.opts.ClientID)
	q.Set("post_logout_redirect_uri", p.origin+"/")
	if !last.Token.ID.IsZero() {
		q.Set("id_token_hint", last.Token.ID.Reveal())
	}
	to.RawQuery = q.Encode()
	return to.String()
}

// sameOrigin is the guard against a sign-out by another site: the browser's own
// word if it gives one, else the Origin header. Browsers send one of the two
// with every POST.
func (p *RP) sameOrigin(h http.Header) bool {
	if site := h.Values("Sec-Fetch-Site"); len(site) > 0 {
		return len(site) == 1 && (site[0] == "same-origin" || site[0] == "none")
	}
	origin := h.Values("Origin")
	return len(origin) == 1 && origin[0] == p.origin
}
