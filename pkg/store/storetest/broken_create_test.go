package storetest

import (
	"errors"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

func brokenCreate() []broken {
	return []broken{
		{
			"Create answers before it is durable",
			flaw{method: "Create", before: forget},
			[]string{"Create/is durable when it returns"},
		},
		{
			"Create forgets a field",
			flaw{method: "Create", before: func(_ *flawed, c *call) { c.ses.Identity.SID = "" }},
			[]string{"Create/writes revision 1"},
		},
		{
			"Create answers nil for a taken ID",
			flaw{method: "Create", after: func(_ *flawed, c *call) { c.err = nil }},
			[]string{"Create/over a record is ErrExists", "Create/over a tombstone is ErrExists"},
		},
	}
}

func brokenGet() []broken {
	return []broken{
		{
			"Get answers a zero record for a missing session",
			flaw{method: "Get", after: func(_ *flawed, c *call) {
				if errors.Is(c.err, session.ErrNotFound) {
					c.err = nil
				}
			}},
			[]string{"Get/of a missing session is ErrNotFound"},
		},
		{
			"Get takes a tombstone for a missing session",
			flaw{method: "Get", after: func(_ *flawed, c *call) {
				if errors.Is(c.err, session.ErrEnded) {
					c.err = session.ErrNotFound
				}
			}},
			[]string{"Get/of a tombstone is ErrEnded with reason and time"},
		},
		{
			"Get tells a tombstone without its reason",
			flaw{method: "Get", after: func(_ *flawed, c *call) {
				if e, ok := errors.AsType[*session.EndedError](c.err); ok {
					c.err = &session.EndedError{At: e.At}
				}
			}},
			[]string{"Get/of a tombstone is ErrEnded with reason and time"},
		},
		{
			"Get hides the open attempt",
			flaw{method: "Get", after: func(_ *flawed, c *call) { c.r.Attempt = nil }},
			[]string{"Get/during an attempt is revision n with the Attempt"},
		},
		{
			"Get is busy during an attempt",
			flaw{method: "Get", after: func(_ *flawed, c *call) {
				if c.r.Attempt != nil {
					c.r, c.err = store.Record{}, session.ErrBusy
				}
			}},
			[]string{"Get/during an attempt is revision n with the Attempt"},
		},
	}
}

func brokenValues() []broken {
	return []broken{
		{
			"Create keeps the caller's map",
			flaw{after: shareMap("Create")},
			[]string{"Values/given to Create stay the caller's"},
		},
		{
			"Commit keeps the caller's map",
			flaw{after: shareMap("Commit")},
			[]string{"Values/given to Commit stay the caller's"},
		},
		{
			"Get hands out its own map",
			flaw{method: "Get", after: func(f *flawed, c *call) {
				if f.kept.r.Session.Revision == 0 {
					f.kept.r = c.r
				}
				c.r.Session.Identity.Claims = f.kept.r.Session.Identity.Claims
			}},
			[]string{"Values/read from the store are the reader's"},
		},
	}
}

// shareMap makes Get show the very map that method was given.
func shareMap(method string) func(*flawed, *call) {
	return func(f *flawed, c *call) {
		switch c.method {
		case method:
			f.kept.ses = c.ses
		case "Get":
			c.r.Session.Identity.Claims = f.kept.ses.Identity.Claims
		}
	}
}
