package store

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// Importer takes in what another store had; every backend is one. Two stores with
// the same session must not be served side by side: each would use its refresh
// token.
type Importer interface {
	// Import writes r whole, durable when it returns. An open attempt becomes one in
	// doubt: its owner does not reach this store. What is there already is replaced
	// only by a Newer one, and keeps its last use if that is later; else ErrExists.
	// A tombstone stays: ErrEnded.
	Import(ctx context.Context, r Record) error

	// Bury leaves t of a session that another store has ended. One that lives here
	// ends, as by End. ErrEnded if there is a tombstone.
	Bury(ctx context.Context, id session.ID, t Tombstone) error
}

// Source is a store that is copied.
type Source interface {
	Get(ctx context.Context, id session.ID) (Record, error)
	List(ctx context.Context, after Cursor, limit int) ([]session.ID, Cursor, error)
}

// Copied is what a copy has come to.
type Copied struct {
	Sessions   int // written
	InDoubt    int // of these: their refresh token may be spent
	Ended      int // tombstones written
	There      int // what the other store has as new or newer, or has ended itself
	Unreadable int // not copied
}

// Watch is told of a copy while it is made, by one goroutine.
type Watch struct {
	Progress   func(Copied)
	Unreadable func(session.ID, error)
}

const (
	copyPage   = 1024
	copyAtOnce = 64 // so that an fsync, or a round trip, is shared
)

// Copy copies every session and tombstone of from, which does not change and must
// not be served meanwhile, or afterwards. With an error, what has been copied
// stays: a second Copy goes on, and leaves what is there.
func Copy(ctx context.Context, from Source, to Importer, w Watch) (Copied, error) {
	var done Copied
	var after Cursor
	for {
		ids, next, err := from.List(ctx, after, copyPage)
		if err != nil {
			return done, fmt.Errorf("list sessions: %w", err)
		}
		for i, one := range copyAll(ctx, from, to, ids) {
			if one.err != nil {
				err = one.err
				continue
			}
			if one.bad != nil {
				w.Unreadable(ids[i], one.bad)
			}
			done.add(one.Copied)
		}
		w.Progress(done)
		if err != nil || next == "" {
			return done, err
		}
		after = next
	}
}

// copyOf is what became of one session.
type copyOf struct {
	Copied
	bad error // why it cannot be read
	err error // why nothing more can be copied
}

func (c *Copied) add(o Copied) {
	c.Sessions += o.Sessions
	c.InDoubt += o.InDoubt
	c.Ended += o.Ended
	c.There += o.There
	c.Unreadable += o.Unreadable
}

func copyAll(ctx context.Context, from Source, to Importer, ids []session.ID) []copyOf {
	done := make([]copyOf, len(ids))
	var workers sync.WaitGroup
	for first := range min(copyAtOnce, len(ids)) {
		workers.Go(func() {
			for i := first; i < len(ids); i += copyAtOnce {
				if done[i] = copyOne(ctx, from, to, ids[i]); done[i].err != nil {
					return
				}
			}
		})
	}
	workers.Wait()
	return done
}

func copyOne(ctx context.Context, from Source, to Importer, id session.ID) (c copyOf) {
	r, err := from.Get(ctx, id)
	end, ended := errors.AsType[*session.EndedError](err)
	switch {
	case errors.Is(err, ErrUnreadable):
		c.Unreadable, c.bad = 1, err
		return c
	case errors.Is(err, session.ErrNotFound): // its time was over
		return c
	case ended:
		c.Ended = 1
		err = to.Bury(ctx, id, Tombstone{Reason: end.Reason, At: end.At, Until: end.Until, History: end.History})
	case err != nil:
		c.err = fmt.Errorf("read session %s: %w", id, err)
		return c
	default:
		c.Sessions = 1
		if r.Orphaned().InDoubt {
			c.InDoubt = 1
		}
		err = to.Import(ctx, r)
	}
	switch {
	case errors.Is(err, session.ErrExists), errors.Is(err, session.ErrEnded):
		c.Copied = Copied{There: 1}
	case err != nil:
		c.Copied, c.err = Copied{}, fmt.Errorf("write session %s: %w", id, err)
	}
	return c
}
