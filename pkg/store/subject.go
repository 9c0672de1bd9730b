package store

import (
	"encoding/json"
	"iter"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// SubjectSums are the keyed hashes under which a session of k may be indexed:
// under each key of the ring, since entries are not rewritten when a key is
// added.
func (c Codec) SubjectSums(k session.SubjectKey) iter.Seq[[32]byte] {
	return c.subjects.Sums(subjectBytes(k))
}

// SubjectKeys are the keys under which Find finds s: its subject, and its OP
// session if it has one.
func SubjectKeys(s session.Session) []session.SubjectKey {
	keys := []session.SubjectKey{{App: s.App, Provider: s.Provider, Sub: s.Identity.Subject}}
	if s.Identity.SID != "" {
		keys = append(keys, session.SubjectKey{App: s.App, Provider: s.Provider, SID: s.Identity.SID})
	}
	return keys
}

// SubjectSum is the keyed hash under which a session of k is indexed from now on.
func (c Codec) SubjectSum(k session.SubjectKey) [32]byte { return c.subjects.Sum(subjectBytes(k)) }

// subjectBytes is unambiguous: JSON quotes what separates the parts.
func subjectBytes(k session.SubjectKey) []byte {
	b, _ := json.Marshal(k) // four strings: cannot fail
	return b
}
