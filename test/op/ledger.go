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

// Cut is the Error of a [Received] whose connection [Fault].CutBefore closed: it
// was never handled and never answered.
const Cut = "cut"

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
	Spent      bool   `json:"spent,omitempty"`      // that generation had been consumed before
	Accepted   bool   `json:"accepted,omitempty"`   // the refresh token was taken: there are new tokens, whatever became of the answer
	Fault      string `json:"fault,omitempty"`      // [Fault].Name of what struck
	Lost       bool   `json:"lost,omitempty"`       // the answer was ready and a [Fault] kept it from being sent
}

// Outcome is the key of a Received in [Ledger.ReceivedBy]: "200", "400
// invalid_grant", "200 lost", "dropped", "cut", or "open" while there is no
// answer yet.
func (r Received) Outcome() string { return r.outcome().String() }

func (r Received) outcome() outcome { return outcome{r.GrantType, r.Status, r.Error, r.Lost} }

// outcome is what POSTs are counted by.
type outcome struct {
	grant  string
	status int
	err    string
	lost   bool
}

func (o outcome) String() string {
	if o.status == 0 && o.err == "" {
		return "open"
	}
	if o.status == 0 {
		return o.err
	}
	s := strconv.Itoa(o.status)
	if o.err != "" {
		s += " " + o.err
	}
	if o.lost {
		s += " lost"
	}
	return s
}

// Ledger is a consistent snapshot of what the provider saw and did.
type Ledger struct {
	// Received lists the POSTs to the token endpoint, by arrival: all, or the
	// last [Options].KeepReceived.
	Received []Received `json:"received"`
	// ReceivedBy counts every POST by grant type and [Received.Outcome].
	ReceivedBy map[string]map[string]int `json:"received_by"`
	// Held counts the POSTs held at this moment by a [Fault].
	Held int `json:"held"`
	// Consumed is, for each family with a refresh token, how many of its
	// generations were consumed. Each counts once, however often it was presented.
	Consumed map[string]int `json:"consumed"`
	// ConsumedTwice counts the generations presented again after they had been
	// consumed, however often, whether or not they were accepted. 0 is this
	// repository's promise.
	ConsumedTwice int `json:"consumed_twice"`
	// Reuse counts the requests that presented a spent generation; ten at once
	// with one token are nine.
	Reuse int `json:"reuse"`
	// Forgiven counts those of Reuse that the grace of the [Policy] accepted.
	Forgiven int `json:"forgiven,omitempty"`
	// Logins counts completed logins, silent ones included.
	Logins int `json:"logins"`
	// Logouts counts the end_session requests that ended something.
	Logouts int `json:"logouts"`
	// Revoked counts the families that were revoked, RevokedBy by reason.
	Revoked   int            `json:"revoked"`
	RevokedBy map[string]int `json:"revoked_by"`
	// Replaced counts the families whose refresh token died by a new login of the
	// same user and client ([Policy].OnePerUser).
	Replaced int `json:"replaced,omitempty"`
	// ActiveFamilies counts those neither revoked nor replaced.
	ActiveFamilies int `json:"active_families"`
}

// book is the part of the ledger that is written rather than derived.
// storage.mu guards it.
type book struct {
	keep          int // how many of received; 0 is all
	arrived       int
	received      []*Received // the last ones
	by            map[outcome]int
	open, maxOpen int // refresh POSTs in progress
	held          int
	accepted      int
	consumed      int
	consumedTwice int
	reuse         int
	forgiven      int
	logins        int
	logouts       int
	revokedBy     map[string]int
	revoked       int
	replaced      int
	inactive      int // families revoked or replaced
}

// Ledger returns the ledger of this instant. It copies all of it; what is asked
// often in a long run is in [Provider.Tally].
func (p *Provider) Ledger() Ledger {
	s := p.storage
	s.mu.Lock()
	defer s.mu.Unlock()
	l := Ledger{
		Received:       make([]Received, 0, len(s.book.received)),
		ReceivedBy:     map[string]map[string]int{},
		Held:           s.book.held,
		Consumed:       map[string]int{},
		ConsumedTwice:  s.book.consumedTwice,
		Reuse:          s.book.reuse,
		Forgiven:       s.book.forgiven,
		Logins:         s.book.logins,
		Logouts:        s.book.logouts,
		Revoked:        s.book.revoked,
		Replaced:       s.book.replaced,
		RevokedBy:      maps.Clone(s.book.revokedBy),
		ActiveFamilies: len(s.families) - s.book.inactive,
	}
	for _, r := range s.book.last() {
		l.Received = append(l.Received, *r)
	}
	for o, n := range s.book.by {
		by := l.ReceivedBy[o.grant]
		if by == nil {
			by = map[string]int{}
			l.ReceivedBy[o.grant] = by
		}
		by[o.String()] += n
	}
	for _, f := range s.families {
		if f.generations > 0 {
			l.Consumed[f.name] = f.consumed
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

// last are the entries that are kept.
func (b *book) last() []*Received {
	if b.keep == 0 || len(b.received) <= b.keep {
		return b.received
	}
	return b.received[len(b.received)-b.keep:]
}

// count moves e from one outcome to another, around its edit.
func (b *book) count(e *Received, edit func(*Received)) {
	if before := e.outcome(); b.by[before] == 1 {
		delete(b.by, before)
	} else {
		b.by[before]--
	}
	edit(e)
	b.by[e.outcome()]++
}

// arrived enters a POST.
func (s *storage) arrived() *Received {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := &s.book
	b.arrived++
	e := &Received{Seq: b.arrived}
	if b.keep > 0 && len(b.received) == 2*b.keep { // once in a while, so that each costs the same
		b.received = append(make([]*Received, 0, 2*b.keep), b.last()...)
	}
	b.received = append(b.received, e)
	b.by[e.outcome()]++
	return e
}

// entry edits e.
func (s *storage) entry(e *Received, edit func(*Received)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.book.count(e, edit)
}

// held changes the number of POSTs held, and edits e in the same step.
func (s *storage) held(e *Received, change int, edit func(*Received)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.book.held += change
	if edit != nil {
		s.book.count(e, edit)
	}
}
