package op

import (
	"strings"
	"time"
)

// Access is what the provider knows of an access token it has issued.
type Access struct {
	Family  string // "f1", …
	Number  int    // 1, 2, … within the family
	Issued  time.Time
	Expires time.Time
	Live    bool // neither expired nor revoked
}

// Access tells whose an access token is, dead or alive. Some time after its end
// it is forgotten, and ok is false as for one that was never issued.
func (p *Provider) Access(token string) (a Access, ok bool) {
	content, err := p.library.Crypto().Decrypt(token)
	if err != nil {
		return Access{}, false
	}
	id, _, _ := strings.Cut(content, ":") // the library adds the subject
	s := p.storage
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.accesses[id]
	if t == nil {
		return Access{}, false
	}
	_, dead := s.access(id)
	return Access{t.family.name, t.number, t.issued, t.expires, dead == nil}, true
}
