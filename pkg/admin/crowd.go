package admin

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
)

// query is the body of the requests about more than one session. The subject is in
// it because bodies are not logged on the way, as paths are.
type query struct {
	User  string `json:"user,omitempty"`
	Limit int    `json:"limit,omitempty"` // of a list; 0: none
}

// line is one of a list: sessions, and at last either of the others. A list without
// a last line has been cut off.
type line struct {
	Session *Session `json:"session,omitempty"`
	End     *end     `json:"end,omitempty"`
	Problem *Problem `json:"problem,omitempty"`
}

type end struct {
	More bool `json:"more"` // than the limit allows to tell
}

// revoked is the answer to a revocation of all that a user has.
type revoked struct {
	Ended int `json:"ended"`
}

const queryMost = 64 << 10

// crowdPages answers for many sessions.
type crowdPages struct{ crowd Crowd }

func readQuery(w http.ResponseWriter, r *http.Request) (q query, _ error) {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, queryMost))
	d.DisallowUnknownFields() // a misspelt "user" would be nobody, and mean everybody
	if err := d.Decode(&q); err != nil || q.Limit < 0 {
		return q, newProblem(http.StatusBadRequest, `write {"user": "SUB", "limit": 100} as the body, either or none of them, the limit not negative`)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return q, newProblem(http.StatusBadRequest, "write one JSON object as the body, and nothing behind it")
	}
	return q, nil
}

// list writes one session a line as they come, so that neither side holds them all.
func (p crowdPages) list(w http.ResponseWriter, r *http.Request) {
	q, err := readQuery(w, r)
	if err != nil {
		write(w, problemOf("", err))
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	out := json.NewEncoder(w)
	told := 0
	for s, err := range p.crowd.All(r.Context(), q.User) {
		switch {
		case err != nil && told == 0:
			write(w, storeTrouble("sessions"))
			return
		case err != nil:
			_ = out.Encode(line{Problem: storeTrouble("the rest of the sessions")})
			return
		case q.Limit > 0 && told == q.Limit:
			_ = out.Encode(line{End: &end{More: true}})
			return
		}
		if out.Encode(line{Session: &s}) != nil {
			return // the caller left
		}
		told++
	}
	_ = out.Encode(line{End: &end{}})
}

// revoke ends all sessions of one user.
func (p crowdPages) revoke(w http.ResponseWriter, r *http.Request) {
	q, err := readQuery(w, r)
	if err == nil && (q.User == "" || q.Limit != 0) {
		err = newProblem(http.StatusBadRequest, `write {"user": "SUB"} as the body, with the subject that the provider gives the user, and no limit`)
	}
	if err != nil {
		write(w, problemOf("", err))
		return
	}
	ended, err := p.crowd.RevokeAll(r.Context(), q.User)
	if err != nil {
		write(w, newProblem(http.StatusServiceUnavailable, "%d sessions of the user have ended, and not all: the store of record cannot be asked right now; "+
			"try again, and look for the store in the log", ended))
		return
	}
	writeJSON(w, http.StatusOK, "application/json", revoked{ended})
}
