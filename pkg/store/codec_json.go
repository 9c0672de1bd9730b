package store

import (
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// instant is a time as it is stored: in UTC, to the nanosecond, and nothing else
// is read back.
type instant struct{ time.Time }

func at(t time.Time) instant { return instant{t.UTC()} }

// UnmarshalJSON implements json.Unmarshaler.
func (i *instant) UnmarshalJSON(b []byte) error {
	if err := json.Unmarshal(b, &i.Time); err != nil {
		return err
	}
	if i.Location() != time.UTC {
		return errors.New("read time: not in UTC")
	}
	return nil
}

type head struct {
	ID       []byte           `json:"id"`
	App      string           `json:"app"`
	Provider string           `json:"provider"`
	Revision session.Revision `json:"revision"`
}

func headOf(s session.Session) head {
	return head{ID: s.ID[:], App: s.App, Provider: s.Provider, Revision: s.Revision}
}

// meta is the changing part of a record, and a copy of what the indexes need.
type meta struct {
	Attempt   *attemptMeta  `json:"attempt,omitempty"`
	Fence     uint64        `json:"fence,omitempty"`
	InDoubt   bool          `json:"in_doubt,omitempty"`
	ReplayAt  instant       `json:"replay_at,omitzero"`
	NotBefore instant       `json:"not_before,omitzero"`
	Failures  int           `json:"failures,omitempty"`
	LastClass session.Class `json:"last_class,omitempty"`
	Tries     int           `json:"tries,omitempty"`
	Committed []byte        `json:"committed,omitempty"`
	History   []outcome     `json:"history,omitempty"`
	Used      instant       `json:"used,omitzero"` // as of the write; newer ones are kept by the backend
	DueAt     instant       `json:"due_at,omitzero"`
	Exp       instant       `json:"exp"`
	EndsAt    instant       `json:"ends_at"`
}

// attemptMeta leaves out what the head tells: an open attempt is one on the
// current revision of its own session.
type attemptMeta struct {
	ID            []byte  `json:"id"`
	Fence         uint64  `json:"fence"`
	InDoubt       bool    `json:"in_doubt,omitempty"`
	Tries         int     `json:"tries"`
	Owner         string  `json:"owner"`
	FoundReplayAt instant `json:"found_replay_at,omitzero"`
	Began         instant `json:"began,omitzero"`
	By            string  `json:"by,omitempty"`
}

// outcome is one line of a history; there may be many, so its names are short.
type outcome struct {
	At       instant          `json:"t"`
	By       string           `json:"b,omitempty"`
	Class    session.Class    `json:"c"`
	Revision session.Revision `json:"r"`
	Replay   bool             `json:"p,omitempty"`
}

func outcomes(history []session.Outcome) (stored []outcome) {
	for _, o := range history {
		stored = append(stored, outcome{At: at(o.At), By: o.By, Class: o.Class, Revision: o.Revision, Replay: o.Replay})
	}
	return stored
}

func historyOf(stored []outcome) (history []session.Outcome) {
	for _, o := range stored {
		history = append(history, session.Outcome{At: o.At.Time, By: o.By, Class: o.Class, Revision: o.Revision, Replay: o.Replay})
	}
	return history
}

func metaOf(r Record) meta {
	m := meta{
		Fence: r.Fence, InDoubt: r.InDoubt, ReplayAt: at(r.ReplayAt), NotBefore: at(r.NotBefore),
		Failures: r.Failures, LastClass: r.LastClass, Tries: r.Tries, Used: at(r.Used),
		DueAt: at(r.DueAt), Exp: at(r.Session.Token.Exp()), EndsAt: at(r.Session.EndsAt),
		History: outcomes(r.History),
	}
	if r.Committed != (AttemptID{}) {
		m.Committed = r.Committed[:]
	}
	if a := r.Attempt; a != nil {
		m.Attempt = &attemptMeta{
			ID: a.ID[:], Fence: a.Fence, InDoubt: a.InDoubt, Tries: a.Tries, Owner: a.Owner, FoundReplayAt: at(a.FoundReplayAt),
			Began: at(a.Began), By: a.By,
		}
	}
	return m
}

// body is a session as it is sealed. It exists in the clear only on the way
// into and out of the seal.
type body struct {
	Access    string            `json:"access_token"`
	Refresh   string            `json:"refresh_token,omitempty"`
	IDToken   string            `json:"id_token,omitempty"`
	Issued    instant           `json:"issued"`
	Lifetime  time.Duration     `json:"lifetime"`
	Subject   string            `json:"sub"`
	SID       string            `json:"sid,omitempty"`
	Email     string            `json:"email,omitempty"`
	Name      string            `json:"name,omitempty"`
	AuthTime  instant           `json:"auth_time,omitzero"`
	Claims    map[string]string `json:"claims,omitempty"`
	CreatedAt instant           `json:"created_at"`
	EndsAt    instant           `json:"ends_at"`
	SweepAt   instant           `json:"sweep_at,omitzero"`
}

func bodyOf(s session.Session) body {
	return body{
		Access: s.Token.Access.Reveal(), Refresh: s.Token.Refresh.Reveal(), IDToken: s.Token.ID.Reveal(),
		Issued: at(s.Token.Issued), Lifetime: s.Token.Lifetime,
		Subject: s.Identity.Subject, SID: s.Identity.SID, Email: s.Identity.Email, Name: s.Identity.Name,
		AuthTime: at(s.Identity.AuthTime), Claims: s.Identity.Claims,
		CreatedAt: at(s.CreatedAt), EndsAt: at(s.EndsAt), SweepAt: at(s.SweepAt),
	}
}

// grave is a tombstone as it is stored.
type grave struct {
	Reason  session.Reason `json:"reason"`
	At      instant        `json:"at"`
	Until   instant        `json:"until"`
	History []outcome      `json:"history,omitempty"`
}

func parse(rawHead, rawMeta []byte) (h head, m meta, err error) {
	if err := errors.Join(json.Unmarshal(rawHead, &h), json.Unmarshal(rawMeta, &m)); err != nil {
		return h, m, unreadable(errors.New("head or meta is not JSON"))
	}
	if !h.possible() || !m.possible() {
		return h, m, unreadable(errors.New("head or meta is impossible"))
	}
	return h, m, nil
}

func (h head) possible() bool { return len(h.ID) == len(session.ID{}) && h.Revision > 0 }

func (m meta) possible() bool {
	a := m.Attempt
	return m.Failures >= 0 && m.Tries >= 0 && int(m.LastClass) <= len(session.Classes()) && possible(m.History) &&
		(len(m.Committed) == 0 || len(m.Committed) == len(AttemptID{})) &&
		(a == nil || len(a.ID) == len(AttemptID{}) && a.Fence <= m.Fence && a.Tries >= 0)
}

func possible(history []outcome) bool {
	return len(history) <= session.HistoryLen && !slices.ContainsFunc(history, func(o outcome) bool {
		return o.Class == 0 || int(o.Class) > len(session.Classes())
	})
}

// possible keeps out what Encode could not write again.
func (b body) possible() bool { return b.Lifetime >= 0 && b.Issued.Add(b.Lifetime).Year() <= 9999 }

func sessionOf(h head, b body) session.Session {
	return session.Session{
		ID: session.ID(h.ID), Revision: h.Revision, App: h.App, Provider: h.Provider,
		Token: session.Token{
			Access:  session.AccessToken{Secret: session.NewSecret(b.Access)},
			Refresh: session.RefreshToken{Secret: session.NewSecret(b.Refresh)},
			ID:      session.IDToken{Secret: session.NewSecret(b.IDToken)},
			Issued:  b.Issued.Time, Lifetime: b.Lifetime,
		},
		Identity: session.Identity{
			Subject: b.Subject, SID: b.SID, Email: b.Email, Name: b.Name, AuthTime: b.AuthTime.Time, Claims: b.Claims,
		},
		CreatedAt: b.CreatedAt.Time, EndsAt: b.EndsAt.Time, SweepAt: b.SweepAt.Time,
	}
}

func record(s session.Session, m meta) Record {
	r := Record{
		Session: s,
		Fence:   m.Fence, InDoubt: m.InDoubt, ReplayAt: m.ReplayAt.Time, NotBefore: m.NotBefore.Time,
		Failures: m.Failures, LastClass: m.LastClass, Tries: m.Tries, Used: m.Used.Time, DueAt: m.DueAt.Time,
		History: historyOf(m.History),
	}
	copy(r.Committed[:], m.Committed)
	if a := m.Attempt; a != nil {
		r.Attempt = &Attempt{
			ID: AttemptID(a.ID), SessionID: s.ID, Revision: s.Revision, Fence: a.Fence,
			InDoubt: a.InDoubt, Tries: a.Tries, Owner: a.Owner, FoundReplayAt: a.FoundReplayAt.Time,
			Began: a.Began.Time, By: a.By,
		}
	}
	return r
}
