package rp

import (
	"encoding/json"
	"html/template"
	"net/http"
	"net/url"
	"strconv"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// retryAfter is what a 503 asks for, in seconds.
const retryAfter = 5

// page is a text for a person, with at most one link.
type page struct {
	status      int
	Title       string
	Text        []string
	Link, Label string
}

const layout = `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{.Title}}</title>
<style>body{font:1.1rem sans-serif;max-width:34rem;margin:12vh auto;padding:0 1rem;line-height:1.5}</style>
<h1>{{.Title}}</h1>
{{range .Text}}<p>{{.}}</p>
{{end}}{{with .Link}}<p><a href="{{.}}">{{$.Label}}</a></p>
{{end}}</html>
`

func newLayout() *template.Template { return template.Must(template.New("page").Parse(layout)) }

func (p *RP) show(w http.ResponseWriter, pg page) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	if pg.status == http.StatusServiceUnavailable {
		h.Set("Retry-After", strconv.Itoa(retryAfter))
	}
	w.WriteHeader(pg.status)
	_ = p.layout.Execute(w, pg) // the browser left; nobody to tell
}

// problem is an answer for programs (RFC 9457).
func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"title": http.StatusText(status), "status": status, "detail": detail})
}

func (p *RP) startAgain(returnTo string) string {
	to := p.opts.PathPrefix + "login"
	if returnTo != "/" {
		to += "?" + url.Values{"return_to": {returnTo}}.Encode()
	}
	return to
}

func (p *RP) unknownAttempt() page {
	return page{
		status: http.StatusBadRequest, Title: "Sign-in could not be completed",
		Text: []string{
			"This browser does not know of the sign-in it came back from.",
			"Either it took more than ten minutes, it was completed already, or the browser refuses cookies of this site. If it happens again, allow cookies.",
		},
		Link: p.startAgain("/"), Label: "Start again",
	}
}

func (p *RP) usedUp(returnTo string) page {
	return page{
		status: http.StatusBadRequest, Title: "This sign-in was used already",
		Text: []string{"Each one completes once. Nothing is wrong if you reloaded the page or went back to it."},
		Link: returnTo, Label: "Continue",
	}
}

func (p *RP) notAccepted(returnTo string) page {
	return page{
		status: http.StatusBadRequest, Title: "Sign-in could not be completed",
		Text: []string{"The answer that came back does not belong to the sign-in that began here."},
		Link: p.startAgain(returnTo), Label: "Start again",
	}
}

func (p *RP) noSignIn(returnTo, code string) page {
	pg := page{
		status: http.StatusBadRequest, Title: "You were not signed in",
		Text: []string{"The identity provider ended the sign-in: " + code + "."},
		Link: p.startAgain(returnTo), Label: "Try again",
	}
	if code == "access_denied" {
		pg.status = http.StatusForbidden
	}
	return pg
}

func (p *RP) unreachable(returnTo string) page {
	return page{
		status: http.StatusServiceUnavailable, Title: "Signing in is not possible right now",
		Text: []string{"The identity provider cannot be reached. Try again in a moment."},
		Link: p.startAgain(returnTo), Label: "Try again",
	}
}

// reload is for a callback whose code is not spent, or is being exchanged: the
// same URL goes on.
func (p *RP) reload() page {
	return page{
		status: http.StatusServiceUnavailable, Title: "Signing in takes longer than usual",
		Text: []string{"The identity provider does not answer yet. Reload this page in a moment."},
	}
}

func (p *RP) lost(returnTo string) page {
	return page{
		status: http.StatusServiceUnavailable, Title: "Sign-in could not be completed",
		Text: []string{"Something failed on the way, and this sign-in cannot be used again."},
		Link: p.startAgain(returnTo), Label: "Start again",
	}
}

func (p *RP) stillIn() page {
	return page{
		status: http.StatusServiceUnavailable, Title: "You are still signed in",
		Text: []string{"Signing out did not work, because the session store does not answer. Go back and try again in a moment."},
	}
}

func (p *RP) looping(returnTo string) page {
	return page{
		status: http.StatusOK, Title: "You are signed in, but it does not seem to last",
		Text: []string{
			"This browser has signed in three times within a minute.",
			"Likely this site runs in several copies that do not share a session store: one of them signs you in, and another does not know you. Its operator can put that right.",
			"It may also be that the browser refuses the session cookie of this site: allow its cookies.",
		},
		Link: returnTo, Label: "Continue",
	}
}

// exchangeFailed tells apart what the user can do.
func (p *RP) exchangeFailed(v verdict, a attempt) page {
	switch v.class {
	case session.Dead, session.Refused: // the code was too old, or not for this attempt
		return p.notAccepted(a.returnTo)
	case session.Transient:
		if v.row == rowNotWritten {
			return p.reload()
		}
		return p.unreachable(a.returnTo)
	default:
		return p.lost(a.returnTo)
	}
}
