package sessioncache

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/ristretto/v2"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

// endedGrace is how much longer than an entry's life the ended set remembers:
// a reader may publish an entry it loaded just before the end.
const endedGrace = 30 * time.Second

// Getter is what the cache needs of the store of record.
type Getter interface {
	Get(ctx context.Context, id session.ID) (store.Record, error)
}

// Options of New; all but EndsAccess and Coherent are required.
type Options struct {
	Store    Getter
	MaxBytes int64         // memory limit; the cost of a view is its bytes
	Life     time.Duration // of an entry
	Settings
	// Coherent tells whether the cache hears what other processes change, and since
	// when: the epoch is another whenever something may have gone unheard. While it
	// does not hear, nothing is served from the cache. Nil: there are no others.
	Coherent func() (epoch uint64, ok bool)
	// Lost is told of a session that somebody asks for and whose record is Lost: what
	// the store has, and the newer that is remembered; nil if that is not. Nil: nobody
	// is told.
	Lost func(left store.Record, newer *session.View)
}

// Settings are what [Cache.Configure] may change: how a View is made.
type Settings struct {
	Policy session.Policy
	// Encode prepares View.Headers from a session and tells their size in bytes.
	Encode func(session.Session) (headers any, size int64)
	// EndsAccess: at this OP a refresh ends the old access token.
	EndsAccess bool
}

// settings are counted: a View of older ones is not served.
type settings struct {
	Settings
	count uint64
}

// Cache holds Views. It is safe for concurrent use.
type Cache struct {
	opts  Options
	now   atomic.Pointer[settings]
	views *ristretto.Cache[uint64, *session.View]
	ended endedSet
	// changes counts what other processes have told, by the first byte of the ID.
	changes [256]atomic.Uint64
}

// New starts a cache; Close stops its goroutine.
func New(o Options) (*Cache, error) {
	if o.Coherent == nil {
		o.Coherent = func() (uint64, bool) { return 0, true }
	}
	c := &Cache{opts: o, ended: endedSet{keep: o.Life + endedGrace}}
	c.now.Store(&settings{Settings: o.Settings})
	var err error
	c.views, err = ristretto.NewCache(&ristretto.Config[uint64, *session.View]{
		NumCounters: max(1000, o.MaxBytes/viewBytes*10), // ten a view, as ristretto advises
		MaxCost:     o.MaxBytes,
		BufferItems: 64,
		// The key is a part of the ID: another session under the same key may always replace.
		ShouldUpdate: func(next, prev *session.View) bool {
			return prev == nil || next.Session.ID != prev.Session.ID || next.Session.Revision >= prev.Session.Revision
		},
		OnReject: func(it *ristretto.Item[*session.View]) { c.supersede(it.Key, it.Value) },
	})
	if err != nil {
		return nil, fmt.Errorf("start session cache: %w", err)
	}
	return c, nil
}

// Configure is for Views that are made from now on. One of before is served only while
// the store has nothing as good: it is away, or has yet to take a newer revision. It is
// called by one goroutine at a time.
func (c *Cache) Configure(s Settings) { c.now.Store(&settings{s, c.now.Load().count + 1}) }

// epoch is another whenever that of Coherent is, or the settings are: it holds both
// counts.
func (c *Cache) epoch() (epoch uint64, coherent bool) {
	settings := c.now.Load().count
	epoch, coherent = c.opts.Coherent()
	return settings<<32 | epoch&(1<<32-1), coherent
}

// supersede puts v, which ristretto has rejected, in the place of an older
// revision: of two Sets that both met an empty cache the first is kept,
// whichever is newer.
func (c *Cache) supersede(key uint64, v *session.View) {
	old, ok := c.views.Get(key)
	if ok && old.Session.ID == v.Session.ID && old.Session.Revision < v.Session.Revision {
		c.views.SetWithTTL(key, v, v.Size, c.opts.Life)
	}
}

// Close stops the cache. No call may follow.
func (c *Cache) Close() { c.views.Close() }

// Get returns the session's view, from the cache or from the store. The errors
// are the store's; a session that Forget was told of is ErrEnded.
func (c *Cache) Get(ctx context.Context, id session.ID) (*session.View, error) {
	epoch, coherent := c.epoch()
	v, ok := c.views.Get(key(id))
	known := ok && v.Session.ID == id && coherent && uint32(v.Epoch) == uint32(epoch) // by whatever settings
	if known && v.Epoch == epoch {
		if c.ended.has(id) {
			return nil, session.ErrEnded
		}
		return v, nil
	}
	changes := c.changes[id[0]].Load()
	r, err := c.opts.Store.Get(ctx, id)
	switch {
	case err != nil && r.Lost != 0:
		return c.lost(r, v, err)
	case known && (errors.Is(err, session.ErrUnavailable) || err == nil && r.Session.Revision < v.Session.Revision) &&
		c.changes[id[0]].Load() == changes && !c.ended.has(id):
		return v, nil
	case err != nil:
		return nil, err
	}
	v = c.publish(r, epoch)
	if c.ended.has(id) {
		c.views.Del(key(id))
		return nil, session.ErrEnded
	}
	if c.changes[id[0]].Load() != changes { // perhaps of this one, after it was read
		c.views.Del(key(id))
	}
	return v, nil
}

// lost answers for a record that is Lost, with what is remembered of the newest
// revision: v, if that is it.
func (c *Cache) lost(left store.Record, v *session.View, err error) (*session.View, error) {
	id := left.Session.ID
	if v != nil && (v.Session.ID != id || v.Session.Revision < left.Lost || c.ended.has(id)) {
		v = nil
	}
	if c.opts.Lost != nil {
		c.opts.Lost(left, v)
	}
	if v != nil {
		return v, nil
	}
	return nil, err
}

// Remembered is the newest view of a session that is known here, good or not; nil:
// none.
func (c *Cache) Remembered(id session.ID) *session.View {
	if v, ok := c.views.Get(key(id)); ok && v.Session.ID == id && !c.ended.has(id) {
		return v
	}
	return nil
}

// Publish makes r what Get answers with, unless a newer revision is there
// already, and returns r's view whether or not the cache took it.
func (c *Cache) Publish(r store.Record) *session.View {
	epoch, _ := c.epoch()
	return c.publish(r, epoch)
}

// publish is Publish of what was read in epoch. Nobody is served from a Lost record.
func (c *Cache) publish(r store.Record, epoch uint64) *session.View {
	v := c.view(r, epoch)
	if r.Lost == 0 {
		c.views.SetWithTTL(key(r.Session.ID), v, v.Size, c.opts.Life)
	}
	return v
}

// View is r's, which the cache does not take.
func (c *Cache) View(r store.Record) *session.View { return c.view(r, 0) }

func (c *Cache) view(r store.Record, epoch uint64) *session.View {
	now := c.now.Load()
	headers, size := now.Encode(r.Session)
	v := &session.View{
		Session:   r.Session,
		Window:    now.Policy.Window(r.Session),
		NotBefore: r.NotBefore,
		InDoubt:   r.InDoubt || r.Attempt != nil, // should the attempt's owner be dead, the next one is a replay
		Renewing:  now.EndsAccess && r.Attempt != nil,
		LastClass: r.LastClass,
		Used:      r.Used,
		Headers:   headers,
		Epoch:     epoch,
		Size:      size + weigh(r.Session),
	}
	// While an attempt is open, whoever asks joins its flight instead of waiting.
	if r.InDoubt && r.Attempt == nil && r.ReplayAt.After(v.NotBefore) {
		v.NotBefore = r.ReplayAt
	}
	return v
}

// Forget makes the end of a session final for this process. Call it after the
// end is durable, before it is answered.
func (c *Cache) Forget(id session.ID) {
	c.ended.add(id, time.Now())
	c.views.Del(key(id))
}

// Changed tells of a revision that another process, or this one, has made; 0: of
// the end of the session. What is older is served no more.
func (c *Cache) Changed(id session.ID, rev session.Revision) {
	if rev == 0 {
		c.Forget(id)
		return
	}
	c.changes[id[0]].Add(1)
	if v, ok := c.views.Get(key(id)); ok && v.Session.ID == id && v.Session.Revision != rev {
		c.views.Del(key(id))
	}
}

func key(id session.ID) uint64 { return binary.LittleEndian.Uint64(id[:8]) }

// viewBytes is a View without its strings, with the cache's own bookkeeping.
const viewBytes = 640

func weigh(s session.Session) int64 {
	n := viewBytes + len(s.App) + len(s.Provider) +
		len(s.Token.Access.Reveal()) + len(s.Token.Refresh.Reveal()) + len(s.Token.ID.Reveal()) +
		len(s.Identity.Subject) + len(s.Identity.SID) + len(s.Identity.Email) + len(s.Identity.Name)
	for k, v := range s.Identity.Claims {
		n += len(k) + len(v) + 48
	}
	return int64(n)
}
