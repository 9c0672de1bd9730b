package op

import (
	"context"
	"crypto/rand"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	zop "github.com/zitadel/oidc/v3/pkg/op"
)

// BrowserCookie is the provider's own session in the browser: while it lasts,
// logging in needs no page.
const BrowserCookie = "op_session"

const maxForm = 64 << 10

var page = template.Must(template.New("login").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Sign in</title>
<style>body{font:1.1rem sans-serif;max-width:20rem;margin:15vh auto}input,button{font:inherit;padding:.4rem;width:100%;box-sizing:border-box;margin:.3rem 0}</style>
<h1>Sign in</h1>
<form method="post" action="{{.Action}}">
<label>Any name will do{{if .Missing}}, but one is needed{{end}}
<input name="username" autocomplete="username" autofocus required></label>
<button>Sign in</button>
</form>
`))

func (p *Provider) loginPage(w http.ResponseWriter, r *http.Request) {
	request, err := p.storage.request(r.FormValue("id"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	in, ok := p.storage.browserOf(r)
	switch {
	case ok && !request.wantsPage(time.Now(), in.at):
		p.proceed(w, r, request.id, in, true)
	case request.forbidsPage():
		zop.AuthRequestError(w, r, request, oidc.ErrLoginRequired(), p.library)
	default:
		p.showPage(w, r, http.StatusOK)
	}
}

// showPage sends the form back to the URL it came from: the request id in the
// query is all it needs.
func (p *Provider) showPage(w http.ResponseWriter, r *http.Request, status int) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = page.Execute(w, struct { // the caller left; nobody to tell
		Action  string
		Missing bool
	}{r.URL.RequestURI(), status != http.StatusOK})
}

func (p *Provider) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	request, err := p.storage.request(r.URL.Query().Get("id"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	name := strings.TrimSpace(r.PostFormValue("username"))
	if name == "" {
		p.showPage(w, r, http.StatusBadRequest)
		return
	}
	cookie := rand.Text()
	in := p.storage.openBrowser(cookie, r, userNamed(name))
	http.SetCookie(w, p.cookie(cookie, 0))
	p.proceed(w, r, request.id, in, false)
}

// proceed continues the code flow at the library's callback.
func (p *Provider) proceed(w http.ResponseWriter, r *http.Request, id string, in signIn, silent bool) {
	p.storage.signedIn(id, in, silent)
	ctx := zop.ContextWithIssuer(context.Background(), p.issuer)
	http.Redirect(w, r, zop.AuthCallbackURL(p.library)(ctx, id), http.StatusSeeOther)
}

func (p *Provider) cookie(value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: BrowserCookie, Value: value, MaxAge: maxAge, Path: "/",
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: strings.HasPrefix(p.issuer, "https:"),
	}
}

// browserOf returns the sign-in behind the request's cookie.
func (s *storage) browserOf(r *http.Request) (signIn, bool) {
	c, err := r.Cookie(BrowserCookie)
	if err != nil {
		return signIn{}, false
	}
	s.mu.Lock()
	defer s.unlock()
	in := s.browsers[digestOf(c.Value)]
	if in == nil {
		return signIn{}, false
	}
	return *in, true
}

// openBrowser starts a session under a fresh cookie, in place of the browser's
// old one. The same user keeps the sid: it is one session with a newer time.
func (s *storage) openBrowser(cookie string, r *http.Request, u user) signIn {
	in := signIn{user: u, sid: rand.Text(), at: time.Now()}
	s.mu.Lock()
	defer s.unlock()
	if c, err := r.Cookie(BrowserCookie); err == nil {
		d := digestOf(c.Value)
		if old := s.browsers[d]; old != nil && old.user == u {
			in.sid = old.sid
		}
		delete(s.browsers, d)
	}
	s.browsers[digestOf(cookie)] = &in
	return in
}

// signedIn marks the request as passed. Sending the form twice is one login.
func (s *storage) signedIn(id string, in signIn, silent bool) {
	s.mu.Lock()
	defer s.unlock()
	r := s.requests[id]
	if r == nil || r.Done() {
		return
	}
	r.signIn = in
	s.book.logins++
	s.note(Event{Kind: KindLogin, Client: r.asked.ClientID, Silent: silent})
}
