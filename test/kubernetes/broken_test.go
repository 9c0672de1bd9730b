//go:build kubernetes

package kubernetes

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// judge says whether an object is right.
type judge func(object) error

// refusals wants broken copies of o refused: with an unknown field, with a value of
// the wrong type and, where o has a field that takes only some words, with another
// word. It returns where, as cells of the summary.
func (ask judge) refusals(t *testing.T, o object) string {
	t.Helper()
	unknown := ask.unknownField(t, o)
	typed := ask.firstRefused(t, o, func(value any) any {
		if _, ok := value.(string); ok {
			return 42
		}
		return "wrong"
	}, "must be of type", "cannot unmarshal", "expected", "invalid value for")
	if typed == "" {
		t.Errorf("%s %s: no value of a wrong type is refused", o.kind(), o.name())
	}
	word := ask.firstRefused(t, o, func(value any) any {
		if _, ok := value.(string); ok {
			return "NoSuchWord"
		}
		return nil
	}, "Unsupported value", "supported values", "invalid value for enum")
	if word == "" {
		word = "none"
	}
	return unknown + " | " + typed + " | " + word
}

func (ask judge) unknownField(t *testing.T, o object) string {
	t.Helper()
	broken, at := o.copy(t), "noSuchField"
	if spec, ok := broken["spec"].(map[string]any); ok {
		spec[at], at = "x", "spec."+at
	} else {
		broken[at] = "x"
	}
	if err := ask(broken); err == nil || !strings.Contains(err.Error(), `unknown field "`+at+`"`) {
		t.Errorf("%s %s with the unknown field %s: %v", o.kind(), o.name(), at, err)
	}
	return at
}

// firstRefused looks for a value of o which is refused, in one of these words, when
// change has broken it; change returns nil for those that it leaves alone.
func (ask judge) firstRefused(t *testing.T, o object, change func(any) any, words ...string) string {
	t.Helper()
	for _, at := range contents(o) {
		broken := o.copy(t)
		other := change(broken.swap(at, nil))
		if other == nil {
			continue
		}
		broken.swap(at, other)
		err := ask(broken)
		if err != nil && slices.ContainsFunc(words, func(word string) bool { return strings.Contains(err.Error(), word) }) {
			return at.String()
		}
	}
	return ""
}

// contents are the leaves of o, without those that say which object it is.
func contents(o object) []place {
	rest := maps.Clone(o)
	for _, key := range []string{"apiVersion", "kind", "metadata", "status"} {
		delete(rest, key)
	}
	return leaves(map[string]any(rest), nil)
}
