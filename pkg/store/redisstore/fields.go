package redisstore

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

// stamp is a time as the scripts compare it: 19 digits of nanoseconds, or empty.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return fmt.Sprintf("%019d", t.UnixNano())
}

func micros(d time.Duration) string { return strconv.FormatInt(d.Microseconds(), 10) }

func flag(b bool) string {
	if b {
		return "1"
	}
	return ""
}

func decimal[N ~uint64 | ~int | ~uint8](n N) string { return strconv.FormatUint(uint64(n), 10) }

// fields is a session's hash. It remembers the first thing that is impossible:
// such a record cannot be read, and nobody may guess.
type fields struct {
	of  map[string]string
	err error
}

func (f *fields) wrong(name string) {
	if f.err == nil {
		f.err = fmt.Errorf("decode record: %w: field %s is impossible", store.ErrUnreadable, name)
	}
}

func (f *fields) time(name string) time.Time { return f.parseTime(name, f.of[name]) }

func (f *fields) parseTime(name, text string) time.Time {
	if text == "" {
		return time.Time{}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		f.wrong(name)
	}
	return time.Unix(0, n).UTC()
}

func (f *fields) number(name string) uint64 { return f.parseNumber(name, f.of[name]) }

func (f *fields) parseNumber(name, text string) uint64 {
	if text == "" {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		f.wrong(name)
	}
	return n
}

func (f *fields) class(name, text string) session.Class {
	n := f.parseNumber(name, text)
	if n > uint64(len(session.Classes())) {
		f.wrong(name)
		return 0
	}
	return session.Class(n)
}

func (f *fields) attemptID(name string) (id store.AttemptID) {
	v := f.of[name]
	if v != "" && len(v) != len(id) {
		f.wrong(name)
	}
	copy(id[:], v)
	return id
}

// history is one line an outcome: began, class, revision, replay, by.
func (f *fields) history() (history []session.Outcome) {
	for line := range strings.Lines(f.of["history"]) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 5)
		if len(parts) != 5 {
			f.wrong("history")
			return nil
		}
		history = append(history, session.Outcome{
			At: f.parseTime("history", parts[0]), Class: f.class("history", parts[1]),
			Revision: session.Revision(f.parseNumber("history", parts[2])), Replay: parts[3] == "1", By: parts[4],
		})
	}
	return history
}

func historyLine(o session.Outcome) string {
	replay := "0"
	if o.Replay {
		replay = "1"
	}
	return strings.Join([]string{stamp(o.At), decimal(o.Class), decimal(o.Revision), replay, o.By}, " ")
}

// record is the hash of a live session.
func (s *Store) record(id session.ID, of map[string]string) (store.Record, error) {
	f := &fields{of: of}
	ses, err := s.codec.Open([]byte(of["head"]), []byte(of["body"]))
	if err != nil {
		return store.Record{}, err
	}
	if ses.ID != id || of["revision"] != decimal(ses.Revision) {
		f.wrong("head")
	}
	r := store.Record{
		Session: ses, History: f.history(), Fence: f.number("fence"), InDoubt: of["doubt"] != "",
		ReplayAt: f.time("replay_at"), NotBefore: f.time("not_before"), Failures: int(f.number("failures")),
		LastClass: f.class("last_class", of["last_class"]), Tries: int(f.number("tries")),
		Committed: f.attemptID("committed"), Used: f.time("used"), DueAt: f.time("due"),
	}
	if of["attempt"] != "" {
		r.Attempt = &store.Attempt{
			ID: f.attemptID("attempt"), SessionID: id, Revision: ses.Revision, Fence: r.Fence,
			InDoubt: of["attempt_doubt"] != "", Tries: r.Tries, Owner: of["owner"], Began: f.time("began"), By: of["by"],
			FoundReplayAt: f.time("found"),
		}
	}
	if f.err != nil {
		return store.Record{}, f.err
	}
	return r, nil
}

// tombstone is the hash of an ended one.
func tombstone(of map[string]string) error {
	f := &fields{of: of}
	t := store.Tombstone{Reason: session.Reason(of["reason"]), At: f.time("at"), Until: f.time("ends"), History: f.history()}
	if f.err != nil {
		return f.err
	}
	return t.Err()
}

// changing are the fields that follow from a session alone.
func (s *Store) changing(ses session.Session) ([]string, error) {
	head, body, err := s.codec.Seal(ses)
	if err != nil {
		return nil, unavailable(err)
	}
	of := []string{
		"head", string(head), "body", string(body), "revision", decimal(ses.Revision),
		"exp", stamp(ses.Token.Exp()), "ends", stamp(ses.EndsAt), "subjects", s.listed(ses),
	}
	if at := stamp(ses.SweepAt); at != "" {
		of = append(of, "sweep", at, "due", at)
	}
	return of, nil
}
