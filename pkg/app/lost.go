package app

import (
	"context"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

// lost settles a session of which the store has lost the newest revision.
func (a *App) lost(left store.Record, newer *session.View) {
	if newer != nil {
		a.refresher.Restore(left, newer)
	} else { // what was lost nobody knows; whether what is left is good, the provider does
		a.refresher.Start(a.cache.View(left))
	}
}

// restore is for a session of which another replica has found the same, and does not
// remember the newest revision: this one may.
func (a *App) restore(ctx context.Context, id session.ID) {
	newer := a.cache.Remembered(id)
	if newer == nil {
		return
	}
	left, _ := a.shared.Get(ctx, id)
	if left.Lost != 0 && newer.Session.Revision >= left.Lost {
		a.refresher.Restore(left, newer)
	}
}
