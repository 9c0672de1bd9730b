package rp

import (
	"net/http"
	"strings"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// ServeHTTP answers <prefix>login, callback, logout and session, and 404 to
// anything else. It reads the path, the query, and the headers Cookie, Origin,
// Sec-Fetch-Site and Accept; never Host, scheme or body. Each line of the
// Cookie header must be a value of its own.
//
// GET <prefix>login?return_to=<path?query> begins a login, whoever asks.
func (p *RP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer") // the callback's URL holds a code
	h.Set("X-Content-Type-Options", "nosniff")
	name, ok := strings.CutPrefix(r.URL.Path, p.opts.PathPrefix)
	if !ok {
		name = ""
	}
	switch {
	case name == "login" && allowed(w, r, http.MethodGet):
		p.login(w, r)
	case name == "callback" && allowed(w, r, http.MethodGet):
		p.callback(w, r)
	case name == "logout" && allowed(w, r, http.MethodPost):
		p.logout(w, r)
	case name == "session" && allowed(w, r, http.MethodGet):
		p.session(w, r)
	case name != "login" && name != "callback" && name != "logout" && name != "session":
		problem(w, http.StatusNotFound, "There is no such page.")
	}
}

// allowed answers 405 to any other method.
func allowed(w http.ResponseWriter, r *http.Request, method string) bool {
	if r.Method == method {
		return true
	}
	w.Header().Set("Allow", method)
	detail := "Use " + method + " here."
	if method == http.MethodPost {
		detail += " A link or an image must not be able to sign anybody out."
	}
	problem(w, http.StatusMethodNotAllowed, detail)
	return false
}

// handle is the session handle of the browser. Two different ones are none: one
// of them was planted.
func (p *RP) handle(r *http.Request) (found session.Handle, ok bool) {
	for value := range cookies(r).Find(p.opts.CookieName) {
		h, err := session.ParseHandle(value)
		if err != nil {
			continue
		}
		if ok && !h.Equal(found) {
			return session.Handle{}, false
		}
		found, ok = h, true
	}
	return found, ok
}

// redirect does not use http.Redirect: that one rewrites paths.
func redirect(w http.ResponseWriter, status int, to string) {
	w.Header().Set("Location", to)
	w.WriteHeader(status)
}
