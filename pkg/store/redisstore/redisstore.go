package redisstore

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
	"github.com/redis/rueidis"
)

// keptAfterEnd is how long a session's key outlives the session: the reaper comes
// within minutes and has its tokens revoked. It bounds what is left behind when
// nobody comes.
const keptAfterEnd = time.Hour

// Store implements store.Store, store.Index and store.Importer over one Redis or
// Valkey.
type Store struct {
	client   rueidis.Client
	prefix   string
	owner    string
	maxStale time.Duration
	codec    store.Codec
	log      *slog.Logger
	lua      scripts
	now      func() time.Time // for tests; nil: the server's clock
	seen     revisions
	mine     atomic.Pointer[[]int] // shards to look after; nil: all
	copied   atomic.Bool           // a server has replicas of its own
	alarm    *store.Alarm
	// hadCopies is Run's: it once had.
	hadCopies bool
	coherence
	troubles troubles
}

// Close ends every connection.
func (s *Store) Close() error {
	s.client.Close()
	return nil
}

// shard is the part of the keys that a cluster places them by: what belongs to one
// session, and to its shard, is in one place and changes in one step.
func shard(id session.ID) int { return int(id[0]) % shards }

func (s *Store) shardKey(shard int, name string) string {
	return fmt.Sprintf("%s:{%02x}:%s", s.prefix, shard, name)
}

func (s *Store) key(id session.ID) string {
	return s.shardKey(shard(id), "session:") + hex.EncodeToString(id[:])
}

func (s *Store) keys(id session.ID) []string {
	n := shard(id)
	return []string{s.key(id), s.shardKey(n, "due"), s.shardKey(n, "used"), s.shardKey(n, "ends")}
}

// clock is the time the scripts go by: empty, for the server's own.
func (s *Store) clock() string {
	if s.now == nil {
		return ""
	}
	return stamp(s.now())
}

// step runs one script on one session. What it answers with is a word, and for some
// the session's fields.
func (s *Store) step(ctx context.Context, what script, id session.ID, args ...string) (map[string]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, unavailable(err)
	}
	return verdict(s.run(ctx, what, s.stepOn(id, args)))
}

// lastingStep is step for what must not be lost: a server that has replicas of its
// own answers when one of them has it too, or after a while.
func (s *Store) lastingStep(ctx context.Context, what script, id session.ID, args ...string) (of map[string]string, err error) {
	if err := ctx.Err(); err != nil {
		return nil, unavailable(err)
	}
	asked, had := time.Now(), true
	if s.copied.Load() {
		var answer rueidis.RedisResult
		answer, had = s.runCopied(ctx, what, s.stepOn(id, args))
		of, err = verdict(answer)
	} else {
		of, err = s.step(ctx, what, id, args...)
	}
	if err != nil || had && time.Since(asked) < promptly {
		return of, err
	}
	// It was perhaps the primary of the past that has answered: one that was stopped, or
	// is cut off. What is the primary now is asked for the same; who has done it says so.
	again, err := s.step(ctx, what, id, args...)
	if errors.Is(err, session.ErrExists) || err == nil && len(again) == 0 {
		return of, nil
	}
	return again, err
}

// promptly is how long a server that is well takes at most.
const promptly = time.Second

func (s *Store) stepOn(id session.ID, args []string) call {
	return call{s.keys(id), append([]string{s.clock(), string(id[:])}, args...)}
}

func verdict(result rueidis.RedisResult) (of map[string]string, err error) {
	answer, err := result.ToArray()
	if err != nil {
		return nil, unavailable(err)
	}
	if len(answer) == 0 {
		return nil, unavailable(errors.New("the script answers nothing"))
	}
	word, err := answer[0].ToString()
	if err != nil {
		return nil, unavailable(err)
	}
	if len(answer) > 1 {
		if of, err = answer[1].AsStrMap(); err != nil {
			return nil, unavailable(err)
		}
	}
	switch word {
	case "ok":
		return of, nil
	case "missing":
		return nil, session.ErrNotFound
	case "ended":
		return nil, tombstone(of)
	case "exists":
		return nil, session.ErrExists
	case "moved":
		return of, session.ErrMoved
	case "busy":
		return of, session.ErrBusy
	case "not_yet":
		return of, session.ErrNotYet
	case "index":
		return nil, errIndexFirst
	}
	return nil, unavailable(fmt.Errorf("the script answers %q", word))
}

// unavailable keeps the caller's cause out: one that is a sentinel would pass for an
// answer of the store.
func unavailable(err error) error {
	return fmt.Errorf("%w: %v", session.ErrUnavailable, err)
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, id session.ID) (store.Record, error) {
	if err := ctx.Err(); err != nil {
		return store.Record{}, unavailable(err)
	}
	ctx, cancel := hurried(ctx)
	defer cancel()
	seen := s.seen.newest(id) // before the read: a Commit beside it is no failover
	of, err := s.client.Do(ctx, s.client.B().Hgetall().Key(s.key(id)).Build()).AsStrMap()
	switch {
	case err != nil:
		return store.Record{}, unavailable(err)
	case of["reason"] != "":
		return store.Record{}, tombstone(of)
	case len(of) == 0:
		return store.Record{}, session.ErrNotFound
	}
	if seen == over { // the end is lost; whoever was told of it stays out
		return store.Record{}, session.ErrEnded
	}
	r, err := s.decode(id, of)
	if err == nil && r.Session.Revision < seen {
		r.Lost, r.InDoubt = seen, true
		return r, errLost
	}
	return r, err
}

// readWithin is how long somebody waits for what is in the store.
const readWithin = 2 * time.Second

// hurried is ctx for a call that a request may wait for, which has a deadline: a
// server that is not heard leaves it time for an answer of its own.
func hurried(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, min(readWithin, time.Until(deadline)*9/10))
}

// errLost is the answer for a record that is Lost.
var errLost = fmt.Errorf("%w: the newest revision is not there", session.ErrUnavailable)

func (s *Store) decode(id session.ID, of map[string]string) (store.Record, error) {
	r, err := s.record(id, of)
	if err != nil {
		s.alarm.Unreadable(id, err)
		return store.Record{}, err
	}
	s.seen.saw(id, r.Session.Revision)
	return r, nil
}
