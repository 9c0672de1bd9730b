package storetest

import (
	"errors"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

const (
	meleeCheck = "Race/Begin, Commit, Fail and End at once keep every promise"
	walkCheck  = "Walk/any sequence of steps agrees with the model"
)

// late makes method look first and act later: everybody else gets to look in
// between. act then answers by what it saw.
func late(method string, act func(*call)) flaw {
	return flaw{method: method, before: func(f *flawed, c *call) {
		c.seen = f.record(c.id)
		time.Sleep(time.Millisecond) // fake: it passes when everybody has looked
	}, after: func(_ *flawed, c *call) { act(c) }}
}

func brokenRace() []broken {
	missing := func(r store.Record) bool { return r.Session.Revision == 0 }
	return []broken{
		{
			"Begin looks first and writes later",
			late("Begin", func(c *call) {
				if errors.Is(c.err, session.ErrBusy) && c.seen.Attempt == nil {
					c.open, c.err = store.Attempt{ID: c.in.AttemptID, SessionID: c.id, Fence: c.seen.Fence + 1}, nil
				}
			}),
			[]string{"Race/of 64 Begins one gets the attempt, the rest ErrBusy with it", meleeCheck},
		},
		{
			"Create looks first and writes later",
			late("Create", func(c *call) {
				if errors.Is(c.err, session.ErrExists) && missing(c.seen) {
					c.err = nil
				}
			}),
			[]string{"Race/of 64 Creates one succeeds"},
		},
		{
			"Commit looks first and writes later",
			late("Commit", func(c *call) {
				if errors.Is(c.err, session.ErrMoved) && c.seen.Session.Revision == c.a.Revision {
					c.err = nil
				}
			}),
			[]string{"Race/of 16 Commits of a revision one succeeds"},
		},
		{
			"End looks first and writes later",
			late("End", func(c *call) { c.last = c.seen.Session }),
			[]string{"Race/of 64 Ends one gets the session", "Race/End returns what a Commit beside it made"},
		},
		{
			"Commit answers and does nothing",
			flaw{method: "Commit", before: func(_ *flawed, c *call) { c.answer(nil) }},
			[]string{meleeCheck},
		},
		{
			"Get goes on after End",
			turn("Get", session.ErrEnded, nil),
			[]string{meleeCheck},
		},
	}
}
