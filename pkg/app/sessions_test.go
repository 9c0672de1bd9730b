package app

import (
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/pkg/store"
)

const viewCanary = "canary"

var viewNoon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// fullRecord has a value in every field.
func fullRecord() store.Record {
	secret := func(s string) session.Secret { return session.NewSecret(viewCanary + s) }
	at := func(d time.Duration) time.Time { return viewNoon.Add(d) }
	id := session.ID{0x3f, 0x2a, 0x9c, 0x01, 0xd4, 0xbe, 0xa1}
	return store.Record{
		Session: session.Session{
			ID: id, Revision: 7, App: "shop", Provider: "https://id.example.com",
			Token: session.Token{
				Access:  session.AccessToken{Secret: secret("access")},
				Refresh: session.RefreshToken{Secret: secret("refresh")},
				ID:      session.IDToken{Secret: secret("id")},
				Issued:  at(-50 * time.Second), Lifetime: time.Minute,
			},
			Identity: session.Identity{
				Subject: viewCanary + "sub", SID: viewCanary + "sid", Email: viewCanary + "@example.com", Name: viewCanary + " name",
				AuthTime: at(-time.Hour), Claims: map[string]string{viewCanary + "claim": viewCanary + "value"},
			},
			CreatedAt: at(-time.Hour), EndsAt: at(7 * time.Hour), SweepAt: at(-15 * time.Second),
		},
		History: []session.Outcome{
			{At: at(-2 * time.Minute), By: "sweep", Class: session.Renewed, Revision: 6},
			{At: at(-10 * time.Second), By: "request", Class: session.Unknown, Revision: 7, Replay: true},
		},
		Attempt: &store.Attempt{
			ID: store.AttemptID{0xca}, SessionID: id, Revision: 7, Fence: 9, InDoubt: true, Tries: 2, Owner: viewCanary + "owner", Began: at(-time.Second), By: "sweep",
		},
		Fence: 9, InDoubt: true, ReplayAt: at(time.Second), NotBefore: at(2 * time.Second), Failures: 3,
		LastClass: session.Unknown, Tries: 2, Committed: store.AttemptID{0xcb}, Used: at(-20 * time.Minute), DueAt: at(3 * time.Second),
	}
}

const fullView = `{
  "id": "3f2a9c01d4be",
  "state": "live",
  "as_of": "2026-03-04T12:00:00Z",
  "revision": 7,
  "app": "shop",
  "provider": "https://id.example.com",
  "created_at": "2026-03-04T11:00:00Z",
  "ends_at": "2026-03-04T19:00:00Z",
  "used_at": "2026-03-04T11:59:59Z",
  "access_token": {
    "issued_at": "2026-03-04T11:59:10Z",
    "expires_at": "2026-03-04T12:00:10Z",
    "lifetime_seconds": 60,
    "freshness": "due"
  },
  "refreshable": true,
  "due_at": "2026-03-04T12:00:03Z",
  "attempt": {
    "by": "sweep",
    "began_at": "2026-03-04T11:59:59Z",
    "tries": 2,
    "in_doubt": true
  },
  "in_doubt": true,
  "replay_at": "2026-03-04T12:00:01Z",
  "not_before": "2026-03-04T12:00:02Z",
  "failures": 3,
  "last_class": "unknown",
  "history": [
    {
      "at": "2026-03-04T11:58:00Z",
      "by": "sweep",
      "class": "renewed",
      "revision": 6,
      "replay": false
    },
    {
      "at": "2026-03-04T11:59:50Z",
      "by": "request",
      "class": "unknown",
      "revision": 7,
      "replay": true
    }
  ]
}`

// The view is this, to the letter: whatever else a record holds is secret,
// personal, or of no use to an operator.
func TestLiveView(t *testing.T) {
	t.Parallel()
	view := liveView(fullRecord(), viewNoon.Add(-time.Second), session.Policy{Threshold: 300 * time.Second}, viewNoon)
	if got := asJSON(t, view); got != fullView {
		t.Errorf("got %s\nwant %s", got, fullView)
	}
	bare := store.NewRecord(fullRecord().Session)
	bare.Session.Token.Refresh = session.RefreshToken{}
	bare.DueAt = time.Time{}
	got := asJSON(t, liveView(bare, viewNoon, session.Policy{}, viewNoon))
	for _, want := range []string{`"refreshable": false`, `"attempt": null`, `"in_doubt": false`, `"failures": 0`, `"history": []`} {
		if !strings.Contains(got, want) {
			t.Errorf("a new one does not say %s: %s", want, got)
		}
	}
	for _, none := range []string{"due_at", "replay_at", "not_before", "last_class", "0001"} {
		if strings.Contains(got, none) {
			t.Errorf("a new one has %s: %s", none, got)
		}
	}
}

func TestEndedView(t *testing.T) {
	t.Parallel()
	r := fullRecord()
	end := &session.EndedError{Reason: session.ReasonDead, At: viewNoon, History: r.History[:1]}
	const want = `{
  "id": "3f2a9c01d4be",
  "state": "ended",
  "as_of": "2026-03-04T12:12:00Z",
  "reason": "dead",
  "why": "the provider refused the refresh token",
  "ended_at": "2026-03-04T12:00:00Z",
  "history": [
    {
      "at": "2026-03-04T11:58:00Z",
      "by": "sweep",
      "class": "renewed",
      "revision": 6,
      "replay": false
    }
  ]
}`
	if got := asJSON(t, endedView(r.Session.ID, end, viewNoon.Add(12*time.Minute))); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

// asJSON is v as it is answered; nothing secret or personal may be in it.
func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	id := fullRecord().Session.ID
	for _, bad := range []string{viewCanary, hex.EncodeToString(id[:7])} {
		if strings.Contains(string(b), bad) {
			t.Errorf("%q is in %s", bad, b)
		}
	}
	return string(b)
}
