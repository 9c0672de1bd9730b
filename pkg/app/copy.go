package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/lamplighter/lamplighter/pkg/config"
	"github.com/lamplighter/lamplighter/pkg/seal"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
	"github.com/lamplighter/lamplighter/pkg/store/boltstore"
	"github.com/lamplighter/lamplighter/pkg/store/redisstore"
)

// Copied is what a copy has come to.
type Copied = store.Copied

// CopyWatch is told of a copy while it is made. A session has the name that it has
// in the log.
type CopyWatch struct {
	Progress   func(Copied)
	Unreadable func(name string, why error)
}

// copyStore is a store while it is copied.
type copyStore interface {
	store.Source
	store.Importer
	Close() error
}

// Copy copies all sessions from the store of one configuration to that of another.
// It changes nothing in the first, which no lamplighter may serve, now or later: two
// stores would each use the refresh tokens that both have. What is sealed is sealed
// anew, with the second's keys.
func Copy(ctx context.Context, from, to config.Config, log *slog.Logger, w CopyWatch) (done Copied, err error) {
	source, err := openSource(ctx, from)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := openForCopy(to, boltstore.Options{Log: log})
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	return store.Copy(ctx, source, target, store.Watch{
		Progress:   w.Progress,
		Unreadable: func(id session.ID, why error) { w.Unreadable(id.String(), why) },
	})
}

// openSource opens what nobody may be serving. What it would log of a record, the
// copy tells.
func openSource(ctx context.Context, cfg config.Config) (copyStore, error) {
	s, err := openForCopy(cfg, boltstore.Options{Log: slog.New(slog.DiscardHandler), ReadOnly: true})
	if errors.Is(err, boltstore.ErrInUse) {
		return nil, fmt.Errorf("open store %s: a lamplighter runs on it; stop it first, and do not start it again", cfg.Store.Bolt.Path)
	}
	shared, ok := s.(*redisstore.Store)
	if err != nil || !ok {
		return s, err
	}
	n, err := shared.Replicas(ctx)
	if err == nil && n > 0 {
		err = fmt.Errorf("open store: %d lamplighters run on it; stop them first, and do not start them again", n)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func openForCopy(cfg config.Config, o boltstore.Options) (copyStore, error) {
	keys, err := seal.ReadKeys(cfg.Session.KeysFile)
	if err != nil {
		return nil, fmt.Errorf("session.keys_file: %w", err)
	}
	if r := cfg.Store.Redis; r != nil {
		shared, err := redisOptions(*r, cfg.App, keys, o.Log)
		if err != nil {
			return nil, err
		}
		return redisstore.Open(shared)
	}
	o.Path, o.Keys = cfg.Store.Bolt.Path, keys
	return boltstore.Open(o)
}
