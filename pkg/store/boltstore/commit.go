package boltstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/lamplighter/lamplighter/pkg/session"
	"go.etcd.io/bbolt"
)

// maxBatch bounds a transaction, and with it the longest wait for an fsync.
const maxBatch = 1024

// write is one durable step.
type write struct {
	// do runs inside the transaction and tells whether it has written anything.
	// With an error it has not, unless that wraps errBroken: then the whole
	// transaction is given up.
	do    func(*bbolt.Tx) (wrote bool, _ error)
	then  func() // after the transaction is on disk, before anybody is answered; only if do wrote
	ctx   context.Context
	wrote bool
	err   error
	done  chan struct{}
}

var (
	errBroken = errors.New("write to store file")
	errClosed = errors.New("store is closed")
	errNoNews = errors.New("nothing to write")
)

// broken marks an error of the file itself.
func broken(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", errBroken, err)
}

// unavailable lets only the sentinels of package session out.
func unavailable(err error) error {
	for _, sentinel := range []error{
		session.ErrNotFound, session.ErrExists, session.ErrEnded, session.ErrMoved,
		session.ErrBusy, session.ErrNotYet, session.ErrUnavailable,
	} {
		if errors.Is(err, sentinel) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", session.ErrUnavailable, err)
}

// write queues w and waits until it is on disk. When ctx ends while w is queued,
// w is passed over; when it is in a transaction already, it takes effect all the
// same.
func (s *Store) write(ctx context.Context, w *write) error {
	if err := ctx.Err(); err != nil {
		return unavailable(err)
	}
	w.ctx, w.done = ctx, make(chan struct{})
	select {
	case <-s.closing:
		return unavailable(errClosed)
	default:
	}
	select {
	case s.queue <- w:
	case <-ctx.Done():
		return unavailable(ctx.Err())
	case <-s.closing:
		return unavailable(errClosed)
	}
	select {
	case <-w.done:
		return w.err
	case <-ctx.Done():
		return unavailable(ctx.Err())
	case <-s.closed:
		select {
		case <-w.done:
			return w.err
		default:
			return unavailable(errClosed) // queued behind the last batch
		}
	}
}

// commitLoop is the committer. It ends when Close has been called and the queue
// is empty.
func (s *Store) commitLoop() {
	defer close(s.closed)
	for {
		var batch []*write
		select {
		case w := <-s.queue:
			batch = append(batch, w)
		case <-s.closing:
			select {
			case w := <-s.queue:
				batch = append(batch, w)
			default:
				return
			}
		}
		for more := true; more && len(batch) < maxBatch; {
			select {
			case w := <-s.queue:
				batch = append(batch, w)
			default:
				more = false
			}
		}
		s.commit(batch)
	}
}

// commit makes a batch durable in one transaction, in the order of the queue. A
// batch that has nothing to write, such as a Begin of what is open, costs no
// fsync.
func (s *Store) commit(batch []*write) {
	err := guarded(func() error {
		return s.db.Update(func(tx *bbolt.Tx) error {
			news := false
			for _, w := range batch {
				if w.err = w.ctx.Err(); w.err != nil {
					continue
				}
				if w.wrote, w.err = w.do(tx); errors.Is(w.err, errBroken) {
					return w.err
				}
				news = news || w.wrote
			}
			if !news {
				return errNoNews
			}
			return nil
		})
	})
	if errors.Is(err, errNoNews) {
		err = nil
	} else {
		s.tell(err)
	}
	for _, w := range batch {
		switch {
		case err != nil:
			w.err = unavailable(broken(err))
		case w.err != nil:
			w.err = unavailable(w.err)
		case w.wrote && w.then != nil:
			w.then()
		}
		close(w.done)
	}
}

// tell says once that the file cannot be written, and once that it can again:
// as long as it cannot, every user's next step tries.
func (s *Store) tell(err error) {
	failing := err != nil
	if failing == s.failing {
		return
	}
	s.failing = failing
	if failing {
		s.log.Error("store could not be written: refreshes and logins wait until it can", "path", s.path, "error", err)
		return
	}
	s.log.Info("store can be written again", "path", s.path)
}
