package rp

import (
	"net/http"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/lamplighter/lamplighter/pkg/cookie"
)

// login sends the browser to the OP (OIDC Core section 3.1.2.1).
func (p *RP) login(w http.ResponseWriter, r *http.Request) {
	a := newAttempt(returnPath(r.URL.Query().Get("return_to"), p.opts.PathPrefix), time.Now())
	op := p.found.Load()
	if op == nil {
		p.show(w, p.unreachable(a.returnTo))
		return
	}
	mine, err := p.remember(a)
	if err != nil {
		p.opts.Log.Error("login attempt cannot be sealed", "error", err)
		p.show(w, p.unreachable(a.returnTo))
		return
	}
	for _, name := range p.surplus(r) {
		http.SetCookie(w, cookie.Expire(name, ""))
	}
	http.SetCookie(w, mine)
	var params []oauth2.AuthCodeOption
	for name, value := range p.opts.AuthorizationParams {
		params = append(params, oauth2.SetAuthURLParam(name, value))
	}
	params = append(params, oidc.Nonce(a.nonce.Reveal()), oauth2.S256ChallengeOption(a.verifier.Reveal()))
	request := oauth2.Config{ClientID: p.opts.ClientID, Endpoint: op.endpoint, Scopes: p.opts.Scopes, RedirectURL: p.redirectURI()}
	redirect(w, http.StatusFound, request.AuthCodeURL(a.state.Reveal(), params...))
}
