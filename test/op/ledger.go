package op

import (
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
)

// Dropped is the Error of a [Received] that was held until its caller left: it
// was never handled and never answered.
const Dropped = "dropped"

// OtherGrant stands for every grant type that is not one of the two handled
// here, so that nothing a caller made up is repeated.
const OtherGrant = "other"

// Received is one POST to the token endpoint. It exists from its arrival on.
type Received struct {
	Seq        int    `json:"seq"`                  // 1, 2, … in order of arrival
	GrantType  string `json:"grant_type"`           // authorization_code, refresh_token or [OtherGrant]; empty until the body was read
	Status     int    `json:"status"`               // HTTP status; 0 while unanswered or when dropped
	Error      string `json:"error"`                // error code of RFC 6749 section 5.2, or [Dropped]
	Family     string `json:"family,omitempty"`     // the family the grant belongs to, once known
	Generation int    `json:"generation,omitempty"` // the refresh token generation that was presented
}

// Outcome is the key of a Received in [Ledger.ReceivedBy]: "200", "400
// invalid_grant", "dropped", or "open" while there is no answer yet.
func (r Received) Outcome() string {
	switch {
	case r.Status == 0 && r.Error == "":
		return "open"
	case r.Status == 0:
		return r.Error
	case r.Error == "":
		return strconv.Itoa(r.Status)
	}
	return strconv.Itoa(r.Status) + " " + r.Error
}

// Ledger is a consistent snapshot of what the provider saw and did.
type Ledger struct {
	// Received lists every POST to the token endpoint, by arrival.
	Received []Received `json:"received"`
	// ReceivedBy counts them by grant type and [Received.Outcome].
	ReceivedBy map[string]map[string]int `json:"received_by"`
	// Held counts the POSTs held at this moment by a [Fault].
	Held int `json:"held"`
	// Consumed is, for each family with a refresh token, how many of its
	// generations were consumed. Each counts once: a spent one is refused.
	Consumed map[string]int `json:"consumed"`
	// ConsumedTwice counts the generations presented again after they had been
	// consumed, however often. 0 is this repository's promise.
	ConsumedTwice int `json:"consumed_twice"`
	// Reuse counts the requests that presented a spent generation; ten at once
	// with one token are nine.
	Reuse int `json:"reuse"`
	// Logins counts completed logins, silent ones included.
	Logins int `json:"logins"`
	// Logouts counts the end_session requests that ended something.
	Logouts int `json:"logouts"`
	// Revoked counts the families that were revoked, RevokedBy by reason.
	Revoked   int            `json:"revoked"`
	RevokedBy map[string]int `json:"revoked_by"`
	// ActiveFamilies counts those that were not.
	ActiveFamilies int `json:"active_families"`
}

// book is the part of the ledger that is written rather than derived.
// storage.mu guards it.
type book struct {
	received      []Received
	held          int
	consumedTwice int
	reuse         int
	logins        int
	logouts       int
	revokedBy     map[string]int
}

// Ledger returns the ledger of this instant.
func (p *Provider) Ledger() Ledger {
	s := p.storage
	s.mu.Lock()
	defer s.mu.Unlock()
	l := Ledger{
		Received:      append([]Received{}, s.book.received...),
		ReceivedBy:    map[string]map[string]int{},
		Held:          s.book.held,
		Consumed:      map[string]int{},
		ConsumedTwice: s.book.consumedTwice,
		Reuse:         s.book.reuse,
		Logins:        s.book.logins,
		Logouts:       s.book.logouts,
		RevokedBy:     maps.Clone(s.book.revokedBy),
	}
	for _, r := range s.book.received {
		by := l.ReceivedBy[r.GrantType]
		if by == nil {
			by = map[string]int{}
			l.ReceivedBy[r.GrantType] = by
		}
		by[r.Outcome()]++
	}
	for _, f := range s.families {
		if f.generations > 0 {
			l.Consumed[f.name] = f.consumed
		}
		if f.revoked == "" {
			l.ActiveFamilies++
		} else {
			l.Revoked++
		}
	}
	return l
}

func (p *Provider) ledger(w http.ResponseWriter, _ *http.Request) { writeJSON(w, p.Ledger()) }

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v) // the caller left; nobody to tell
}

// arrived enters a POST and returns its number.
func (s *storage) arrived() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	seq := len(s.book.received) + 1
	s.book.received = append(s.book.received, Received{Seq: seq})
	return seq
}

// entry edits the POST seq.
func (s *storage) entry(seq int, edit func(*Received)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	edit(&s.book.received[seq-1])
}
