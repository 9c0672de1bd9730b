package admin

import (
	"context"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/lamplighter/lamplighter/pkg/session"
)

const (
	leastDigits  = 8 // of a name: fewer would be a way to leaf through the store
	mostDigits   = 2 * len(session.ID{})
	mostMatching = 5 // of an ambiguous name are told
)

// sessionPages answers for one session.
type sessionPages struct{ sessions Sessions }

// answer finds the session that the path names and answers with what of makes of it.
func (p sessionPages) answer(of func(context.Context, session.ID) (Session, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name := strings.ToLower(r.PathValue("name"))
		id, err := p.find(r.Context(), name)
		var view Session
		if err == nil {
			name = id.String()
			view, err = of(r.Context(), id)
		}
		if err != nil {
			write(w, problemOf(name, err))
			return
		}
		writeJSON(w, http.StatusOK, "application/json", view)
	}
}

// prefixOf reads a name, in lower case; a *Problem if it cannot be one.
func prefixOf(name string) (whole []byte, _ error) {
	even := len(name) &^ 1 // the store is asked for whole bytes
	whole, err := hex.DecodeString(name[:even])
	if odd := strings.Trim(name[even:], "0123456789abcdef"); err != nil || odd != "" || len(name) < leastDigits || len(name) > mostDigits {
		return nil, newProblem(http.StatusBadRequest, "a session is named by the first %d to %d hex digits of its id; "+
			"write the 12 that the log has, as in \"session\":\"3f2a9c01d4be\"", leastDigits, mostDigits)
	}
	return whole, nil
}

// find returns the one session whose id, in hex, begins with name.
func (p sessionPages) find(ctx context.Context, name string) (session.ID, error) {
	whole, err := prefixOf(name)
	if err != nil {
		return session.ID{}, err
	}
	ids, err := p.sessions.Lookup(ctx, whole, mostMatching)
	if err != nil {
		return session.ID{}, err
	}
	ids = slices.DeleteFunc(ids, func(id session.ID) bool { return !strings.HasPrefix(hex.EncodeToString(id[:]), name) })
	switch len(ids) {
	case 0:
		return session.ID{}, session.ErrNotFound
	case 1:
		return ids[0], nil
	}
	var short []string
	for _, id := range ids {
		short = append(short, id.String())
	}
	slices.Sort(short)
	return session.ID{}, newProblem(http.StatusConflict, "more than one session begins with %s: %s; write one of these", name, strings.Join(short, ", "))
}

// refresh answers with the session as it is afterwards.
func (p sessionPages) refresh(ctx context.Context, id session.ID) (Session, error) {
	failed := p.sessions.Refresh(ctx, id)
	if failed != nil && !errors.Is(failed, session.ErrEnded) {
		return Session{}, failed
	}
	view, err := p.sessions.View(ctx, id)
	if failed != nil { // who is told of the end wants its reason
		if err == nil && view.Ended != nil {
			failed = newProblem(http.StatusGone, "session %s ended at %s: %s (%s); only a login brings its user back",
				id, stamp(view.EndedAt), view.Why, view.Reason)
		}
		return Session{}, failed
	}
	return view, err
}

// revoke answers with the session as it has ended, now or before.
func (p sessionPages) revoke(ctx context.Context, id session.ID) (Session, error) {
	if err := p.sessions.Revoke(ctx, id); err != nil {
		return Session{}, err
	}
	return p.sessions.View(ctx, id)
}
