package stack

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestSpy(t *testing.T) {
	t.Parallel()
	var s Spy
	s.Note("seven77", "too short")
	s.Note("ada-lovelace", "user name")
	long := strings.Repeat("header.payload.", 3) + "signature-of-its-own"
	s.Note(long, "token")
	s.Note("header.payload.signature-of-another", "token")
	for text, want := range map[string][]string{
		"":                                 nil,
		"seven77":                          nil,
		"ada-lovelac":                      nil,
		"ada-lovelace":                     {"user name"},
		"at the end: " + long:              {"token"},
		long + " and " + "ada-lovelace!":   {"token", "user name"},
		"cut: " + long[:len(long)-1] + ".": nil,
	} {
		if got := s.FoundIn([]byte(text)); !slices.Equal(got, want) {
			t.Errorf("in %q: %q, want %q", text, got, want)
		}
	}
	if got := s.Kinds(); !slices.Equal(got, []string{"token", "user name"}) || s.Secrets() != 3 {
		t.Errorf("kinds %q, %d secrets", got, s.Secrets())
	}
}

// Tokens are noted in whole answers and in broken ones.
func TestSpyOfTheProvider(t *testing.T) {
	t.Parallel()
	var s Spy
	const body = `{"access_token":"the-tests-own-access-token","refresh_token":"the-tests-own-refresh-token","id_to`
	w := httptest.NewRecorder()
	s.provider(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, body[:20])
		_, _ = io.WriteString(w, body[20:]+strings.Repeat(" ", 2*teeLimit))
	})).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/oauth/token", nil))
	if got := w.Body.Len(); got != len(body)+2*teeLimit {
		t.Errorf("%d bytes arrived", got)
	}
	if got, want := s.FoundIn([]byte(body)), []string{"access_token", "refresh_token"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
