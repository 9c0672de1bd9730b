package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// Problem is an answer without a session (RFC 9457). Detail says what to do.
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

func (p *Problem) Error() string { return p.Detail }

func newProblem(status int, detail string, args ...any) *Problem {
	return &Problem{Title: http.StatusText(status), Status: status, Detail: fmt.Sprintf(detail, args...)}
}

// problemOf classifies what the session pages can meet. Whatever is not known
// to be about the session is trouble of ours, and says nothing about it.
func problemOf(name string, err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	if e, ok := errors.AsType[*session.RefreshError](err); ok {
		return newProblem(http.StatusConflict, "session %s was not refreshed (%s): %s; lamplighter tries again by itself, not before %s",
			name, e.Class, trouble(e.Class), stamp(e.RetryAt))
	}
	switch {
	case errors.Is(err, ErrNotRefreshable):
		return newProblem(http.StatusConflict, "session %s cannot be refreshed: the provider gave no refresh token; "+
			"ask for one by provider.scopes (offline_access), which counts from the next login on", name)
	case errors.Is(err, ErrUnreadable):
		return newProblem(http.StatusConflict, "session %s cannot be read: its record is damaged, or sealed with a key that is not in session.keys_file; "+
			"put that key back, below the first", name)
	case errors.Is(err, session.ErrNotFound):
		return newProblem(http.StatusNotFound, "no session begins with %s; "+
			"look for \"session created\" in the log of this lamplighter, and note that a session is forgotten when session.absolute is over", name)
	case errors.Is(err, session.ErrEnded):
		return newProblem(http.StatusGone, "session %s has ended; only a login brings its user back", name)
	default:
		return newProblem(http.StatusServiceUnavailable, "the store of record cannot be asked about session %s right now, which says nothing about the session; "+
			"try again, and look for the store in the log", name)
	}
}

// storeTrouble is that of more than one session.
func storeTrouble(what string) *Problem {
	return newProblem(http.StatusServiceUnavailable, "the store of record cannot be asked about %s right now; try again, and look for the store in the log", what)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func write(w http.ResponseWriter, p *Problem) {
	writeJSON(w, p.Status, "application/problem+json", p)
}

func writeJSON(w http.ResponseWriter, status int, kind string, v any) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(v) // the caller left; nobody to tell
}
