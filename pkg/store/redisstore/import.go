package redisstore

import (
	"context"
	"errors"
	"strings"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

// Import implements store.Importer. The subject index comes first, as at Create.
func (s *Store) Import(ctx context.Context, r store.Record) error {
	r = r.Orphaned()
	ses := r.Session
	of, err := s.changing(ses)
	if err != nil {
		return err
	}
	if err := s.list(ctx, ses); err != nil {
		return err
	}
	used := session.Later(r.Used, ses.CreatedAt)
	args := append([]string{graceMillis, stamp(ses.EndsAt), stamp(used), stamp(r.DueAt), decimal(ses.Revision), decimal(r.Fence)}, of...)
	if _, err := s.lastingStep(ctx, s.lua.imports, ses.ID, append(args, past(r)...)...); err != nil {
		return err
	}
	s.seen.saw(ses.ID, ses.Revision)
	return nil
}

// past are the fields that tell what has become of the session's refreshes.
func past(r store.Record) (of []string) {
	add := func(name, value string) {
		if value != "" && value != "0" {
			of = append(of, name, value)
		}
	}
	add("due", stamp(r.DueAt))
	add("fence", decimal(r.Fence))
	add("doubt", flag(r.InDoubt))
	add("replay_at", stamp(r.ReplayAt))
	add("not_before", stamp(r.NotBefore))
	add("failures", decimal(r.Failures))
	add("last_class", decimal(r.LastClass))
	add("tries", decimal(r.Tries))
	if r.Committed != (store.AttemptID{}) {
		add("committed", string(r.Committed[:]))
	}
	add("history", historyText(r.History))
	return of
}

func historyText(history []session.Outcome) string {
	lines := make([]string, len(history))
	for i, o := range history {
		lines[i] = historyLine(o)
	}
	return strings.Join(lines, "\n")
}

// Bury implements store.Importer.
func (s *Store) Bury(ctx context.Context, id session.ID, t store.Tombstone) error {
	_, err := s.lastingStep(ctx, s.lua.bury, id, graceMillis, stamp(t.Until), string(t.Reason), stamp(t.At), historyText(t.History))
	if errors.Is(err, session.ErrExists) {
		_, err = s.End(ctx, id, t.Reason, store.Cond{})
	}
	return err
}
