package op

import (
	"net/http"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// Tally is what of the [Ledger] can be counted, at a cost that does not grow
// with the number of POSTs or families. Names they share mean the same.
type Tally struct {
	// Posts counts every POST to the token endpoint, Refreshes those with a
	// refresh token.
	Posts     int `json:"posts"`
	Refreshes int `json:"refreshes"`
	// RefreshesBy counts the refreshes by [Received.Outcome].
	RefreshesBy map[string]int `json:"refreshes_by"`
	// Open counts the refreshes that have arrived and are not over, MaxOpen is
	// the most there ever were at once. A delay and a hold are part of it, a
	// drip through the RoundTripper is not.
	Open    int `json:"open"`
	MaxOpen int `json:"max_open"`
	// Accepted counts the refreshes whose token was good, whether or not it was
	// consumed and whatever became of the answer.
	Accepted int `json:"accepted"`
	// Consumed counts the generations consumed, of all families.
	Consumed       int `json:"consumed"`
	ConsumedTwice  int `json:"consumed_twice"`
	Reuse          int `json:"reuse"`
	Forgiven       int `json:"forgiven"`
	Logins         int `json:"logins"`
	Families       int `json:"families"`
	ActiveFamilies int `json:"active_families"`
}

// Tally returns the counters of this instant.
func (p *Provider) Tally() Tally {
	s := p.storage
	s.mu.Lock()
	defer s.mu.Unlock()
	t := Tally{
		Posts:          s.book.arrived,
		RefreshesBy:    map[string]int{},
		Open:           s.book.open,
		MaxOpen:        s.book.maxOpen,
		Accepted:       s.book.accepted,
		Consumed:       s.book.consumed,
		ConsumedTwice:  s.book.consumedTwice,
		Reuse:          s.book.reuse,
		Forgiven:       s.book.forgiven,
		Logins:         s.book.logins,
		Families:       len(s.families),
		ActiveFamilies: len(s.families) - s.book.inactive,
	}
	for o, n := range s.book.by {
		if o.grant == string(oidc.GrantTypeRefreshToken) {
			t.RefreshesBy[o.String()] += n
			t.Refreshes += n
		}
	}
	return t
}

func (p *Provider) tally(w http.ResponseWriter, _ *http.Request) { writeJSON(w, p.Tally()) }

// begun notes the grant type of e and the refresh token that came with it, and
// over that a POST of it is answered or cut.
func (s *storage) begun(e *Received, grant, presented string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.book.count(e, func(e *Received) { e.GrantType = grant })
	if t := s.refreshes[digestOf(presented)]; t != nil {
		e.Family, e.Generation = t.family.name, t.generation
	}
	if grant == string(oidc.GrantTypeRefreshToken) {
		s.book.open++
		s.book.maxOpen = max(s.book.maxOpen, s.book.open)
	}
}

func (s *storage) over(grant string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if grant == string(oidc.GrantTypeRefreshToken) {
		s.book.open--
	}
}
