package redisstore

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/redis/rueidis"
)

// coherence is how far what this process remembers can be trusted.
type coherence struct {
	until atomic.Int64  // wall time in ns
	epoch atomic.Uint64 // of the subscription; what was read in an earlier one may have changed unheard
}

// Coherent tells whether what was read from the store in this epoch, and not told of
// since, is still good. It is not while the server has not been heard for MaxStale.
func (s *Store) Coherent() (epoch uint64, ok bool) {
	return s.epoch.Load(), time.Now().UnixNano() < s.until.Load()
}

// Run makes this process one of the replicas until ctx ends: it says that it is
// there, looks after its shards, and passes on what any replica, this one too, has made: a
// revision, or the end of the session, which is 0; and of which session a replica has
// found that its newest revision is lost. It hears itself: only what went
// all the way round proves that the others' changes come.
func (s *Store) Run(ctx context.Context, changed func(session.ID, session.Revision), lost func(session.ID)) {
	s.mine.Store(new([]int))
	s.warnOfEviction(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	beats := &beats{again: make(chan struct{}, 1)}
	running.Go(func() { s.listen(ctx, beats, changed, lost) })
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		s.beat(ctx, beats)
		s.troubles.ease()
		select {
		case <-ctx.Done():
			s.goodbye(context.WithoutCancel(ctx))
			return
		case <-tick.C:
		case <-beats.again:
		}
	}
}

// beats are the times at which the last ones were sent.
type beats struct {
	again chan struct{} // asks for one now
	mu    sync.Mutex
	next  uint64
	sent  [8]time.Time
}

func (b *beats) send() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next++
	b.sent[b.next%uint64(len(b.sent))] = time.Now()
	return b.next
}

// at is when beat n was sent; zero if that is too long ago.
func (b *beats) at(n uint64) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n > b.next || n+uint64(len(b.sent)) <= b.next {
		return time.Time{}
	}
	return b.sent[n%uint64(len(b.sent))]
}

func (s *Store) beat(stopping context.Context, b *beats) {
	ctx, cancel := context.WithTimeout(stopping, deadAfter)
	defer cancel()
	answer, err := s.run(ctx, s.lua.beat, call{
		[]string{s.prefix + ":replicas"},
		[]string{s.clock(), s.owner, micros(deadAfter), s.beatChannel(), decimal(b.send())},
	}).AsStrSlice()
	switch {
	case stopping.Err() != nil:
		return
	case err != nil:
		s.troubles.met(kindOf(err), err)
		return
	}
	if why := answer[0]; why != "" {
		s.troubles.met(unwritable, errors.New(why))
	}
	if why := answer[1]; why != "" {
		s.troubles.met(deaf, errors.New(why))
	}
	s.lookForCopies(ctx)
	mine := duties(s.owner, answer[2:])
	s.mine.Store(&mine)
}

// Replicas counts the processes that run on the store.
func (s *Store) Replicas(ctx context.Context) (int, error) {
	all, err := s.run(ctx, s.lua.beat, call{[]string{s.prefix + ":replicas"}, []string{s.clock(), "", micros(deadAfter)}}).AsStrSlice()
	if err != nil {
		return 0, unavailable(err)
	}
	return len(all) - 2, nil
}

// goodbye lets the others take over at once.
func (s *Store) goodbye(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	err := s.run(ctx, s.lua.beat, call{[]string{s.prefix + ":replicas"}, []string{s.clock(), s.owner, "0", "", ""}}).Error()
	if err != nil && !rueidis.IsRedisNil(err) {
		s.log.Warn("other replicas find out by themselves that this one has stopped", "error", err)
	}
}

func changedChannel(prefix string) string { return prefix + ":changed" }

func (s *Store) beatChannel() string { return s.prefix + ":beat:" + s.owner }

// listen hears changes until ctx ends. Every subscription is a new epoch, which
// begins when it has proved that it hears, by a beat at once: what was read before may
// have changed unheard. Until then, and no longer than MaxStale, it is served if the server is
// not there: that it lets nobody hear is no such excuse.
func (s *Store) listen(ctx context.Context, b *beats, changed func(session.ID, session.Revision), lost func(session.ID)) {
	var proved atomic.Bool
	hearing := rueidis.WithOnSubscriptionHook(ctx, func(to rueidis.PubSubSubscription) {
		if proved.Store(false); to.Channel == s.beatChannel() { // the last one
			select {
			case b.again <- struct{}{}:
			default:
			}
		}
	})
	for ctx.Err() == nil {
		err := s.client.Receive(hearing, s.client.B().Subscribe().Channel(changedChannel(s.prefix), s.prefix+":lost", s.beatChannel()).Build(), func(m rueidis.PubSubMessage) {
			if m.Channel == s.beatChannel() {
				if !proved.Swap(true) {
					s.epoch.Add(1)
				}
				s.heard(b, m.Message)
				return
			}
			id, rev, err := parseChange(m.Message)
			switch {
			case err != nil:
			case m.Channel == s.prefix+":lost":
				lost(id)
			default:
				s.heardOf(id, rev)
				changed(id, rev)
			}
		})
		if ctx.Err() != nil {
			break
		}
		if err == nil || strings.Contains(err.Error(), "NOPERM") {
			s.until.Store(0)
			s.troubles.met(deaf, err)
		} else {
			s.troubles.met(unreachable, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
	s.until.Store(0)
}

func (s *Store) heardOf(id session.ID, rev session.Revision) {
	if rev == 0 {
		s.seen.ended(id)
	} else {
		s.seen.stored(id, rev)
	}
}

func (s *Store) heard(b *beats, message string) {
	n, err := strconv.ParseUint(message, 10, 64)
	if err != nil {
		return
	}
	if at := b.at(n); !at.IsZero() {
		s.until.Store(at.Add(s.maxStale).UnixNano())
	}
}

func parseChange(m string) (id session.ID, rev session.Revision, err error) {
	if len(m) < len(id) {
		return id, 0, errors.New("no id")
	}
	copy(id[:], m)
	if m = m[len(id):]; m == "" {
		return id, 0, nil
	}
	n, err := strconv.ParseUint(m, 10, 64)
	return id, session.Revision(n), err
}
