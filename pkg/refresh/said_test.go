package refresh_test

import (
	"encoding/hex"
	"strings"
	"unicode"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// nothingSecret looks for tokens, names and handles in all that was said. Only
// a word as long as a handle can hold one: to look for each of a hundred thousand
// in everything would take longer than their test.
func (r *rig) nothingSecret() {
	r.t.Helper()
	said := r.log.String() + r.metrics()
	if strings.Contains(said, canary) {
		r.t.Fatalf("log or metrics hold %q:\n%s", canary, said)
	}
	var words []string
	for word := range strings.FieldsFuncSeq(said, func(c rune) bool { return c != '-' && c != '_' && !unicode.IsLetter(c) && !unicode.IsDigit(c) }) {
		if len(word) >= session.HandleLen {
			words = append(words, word)
		}
	}
	long := strings.Join(words, " ")
	for _, h := range r.handles {
		id := h.ID()
		for _, bad := range []string{h.Reveal(), hex.EncodeToString(id[:])} {
			if strings.Contains(long, bad) {
				r.t.Fatalf("log or metrics hold %q:\n%s", bad, long)
			}
		}
	}
}

// metric is the sum of a counter's or gauge's series, those with label value
// only if one is given.
func (r *rig) metric(name string, label ...string) float64 {
	r.t.Helper()
	families, err := r.reg.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	sum, found := 0.0, false
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		found = true
		for _, m := range f.GetMetric() {
			if len(label) == 1 && (len(m.GetLabel()) == 0 || m.GetLabel()[0].GetValue() != label[0]) {
				continue
			}
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	if !found && len(label) == 0 {
		r.t.Fatalf("no metric %s", name)
	}
	return sum
}

func (r *rig) metrics() string {
	families, err := r.reg.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range families {
		b.WriteString(f.String())
	}
	return b.String()
}
