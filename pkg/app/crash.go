//go:build crash

package app

import (
	"context"
	"os"
	"syscall"

	"github.com/lamplighter/lamplighter/pkg/lifecycle"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

// The points of a refresh at which a test outside the process cannot kill it.
const (
	beforeBegin  = "before begin"
	beforeCommit = "before commit"
	afterCommit  = "after commit"
)

// mortal is a store whose process dies of SIGKILL at the point that a file
// names. The file comes and goes while the process runs: one that has to get
// through a refresh first can still be killed in a later one.
type mortal struct {
	lifecycle.Store
	file string
}

func crashable(s lifecycle.Store) lifecycle.Store {
	return mortal{Store: s, file: os.Getenv("CRASH_POINT_FILE")}
}

func (m mortal) Begin(ctx context.Context, id session.ID, rev session.Revision, in store.Intent) (store.Record, store.Attempt, error) {
	m.reach(beforeBegin)
	return m.Store.Begin(ctx, id, rev, in)
}

func (m mortal) Commit(ctx context.Context, a store.Attempt, next session.Session) error {
	m.reach(beforeCommit)
	err := m.Store.Commit(ctx, a, next)
	if err == nil {
		m.reach(afterCommit)
	}
	return err
}

func (m mortal) reach(point string) {
	if named, err := os.ReadFile(m.file); err != nil || string(named) != point {
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal is on its way, and nothing more may happen
}
