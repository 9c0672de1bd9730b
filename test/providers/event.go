package providers

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"sync"
)

// Kind of an Event.
type Kind string

// What the providers say of themselves, in one language.
const (
	Listening Kind = "listening" // Detail is the address
	Login     Kind = "login"     // a code was exchanged
	Refresh   Kind = "refresh"   // a refresh token was consumed, and another given
	Consumed  Kind = "consumed"  // where a provider says that by itself, too
	Trouble   Kind = "trouble"   // an error, or a grant that was revoked; Detail says which
)

// Event is one entry in a provider's books.
type Event struct {
	Kind  Kind
	User  string
	Spent string // names the refresh token that was consumed, and does not tell it
	// Detail is what the provider wrote.
	Detail string
}

// books reads a provider's output as it comes.
type books struct {
	read func(line []byte) (Event, bool)

	mu     sync.Mutex
	rest   []byte // of a line that is not complete
	events []Event
	told   []string // the last lines that were no event
}

// toldLimit is how many of the other lines are kept, for a failed test.
const toldLimit = 40

// Write never fails.
func (b *books) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rest = append(b.rest, p...)
	for {
		line, rest, whole := bytes.Cut(b.rest, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		if e, ok := b.read(line); ok {
			b.events = append(b.events, e)
		} else {
			b.told = append(b.told[max(0, len(b.told)+1-toldLimit):], string(line))
		}
		b.rest = rest
	}
}

// all is a copy of the events so far.
func (b *books) all() []Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Event(nil), b.events...)
}

// String is for failure messages.
func (b *books) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.told, "\n") + "\n" + string(b.rest)
}

// readOIDCProvider reads a line of node/server.mjs.
func readOIDCProvider(line []byte) (Event, bool) {
	var l struct {
		Event     string `json:"event"`
		GrantType string `json:"grant_type"`
		User      string `json:"user"`
		Consumed  string `json:"consumed"`
		Address   string `json:"address"`
	}
	if json.Unmarshal(line, &l) != nil || l.Event == "" {
		return Event{}, false
	}
	e := Event{Kind: Trouble, User: l.User, Spent: l.Consumed, Detail: string(line)}
	switch {
	case l.Event == "listening":
		e.Kind, e.Detail = Listening, l.Address
	case l.Event == "userinfo.error": // our own question: Accepts tells the answer
		return Event{}, false
	case l.Event == "refresh_token.consumed":
		e.Kind = Consumed
	case l.Event == "grant.success" && l.GrantType == "authorization_code":
		e.Kind = Login
	case l.Event == "grant.success" && l.GrantType == "refresh_token":
		e.Kind = Refresh
	}
	return e, true
}

var (
	listeningAt   = regexp.MustCompile(`Listening on: http://([0-9.:]+)`)
	keycloakField = regexp.MustCompile(`(\w+)="([^"]*)"`)
)

// readKeycloak reads a line of Keycloak's log: its event listener writes each
// event there, as name="value" pairs.
func readKeycloak(line []byte) (Event, bool) {
	var l struct {
		Logger  string `json:"loggerName"`
		Message string `json:"message"`
	}
	if json.Unmarshal(line, &l) != nil {
		return Event{}, false
	}
	if m := listeningAt.FindStringSubmatch(l.Message); m != nil {
		return Event{Kind: Listening, Detail: m[1]}, true
	}
	if l.Logger != "org.keycloak.events" {
		return Event{}, false
	}
	field := make(map[string]string)
	for _, m := range keycloakField.FindAllStringSubmatch(l.Message, -1) {
		field[m[1]] = m[2]
	}
	e := Event{Kind: Trouble, User: userOf(field["userId"]), Detail: l.Message}
	switch field["type"] {
	case "CODE_TO_TOKEN":
		e.Kind = Login
	case "REFRESH_TOKEN":
		e.Kind, e.Spent = Refresh, field["refresh_token_id"]
	case "LOGIN", "USER_INFO_REQUEST", "USER_INFO_REQUEST_ERROR": // the page before a code, and our own question: Accepts tells the answer
		return Event{}, false
	}
	return e, true
}
