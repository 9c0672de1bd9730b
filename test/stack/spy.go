package stack

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// window is how many bytes at the end of a secret are kept and looked for: those
// of a token are random, and an hour's tokens fit into memory.
const window = 16

// Spy notes every secret that passes a browser whose transport it is, or the
// provider it is set before, by what it is. It may be used by any number of
// goroutines.
type Spy struct {
	Next http.RoundTripper

	mu    sync.Mutex
	kinds []string
	ends  map[[window]byte]uint8 // to its index in kinds; no pointers, for the collector's sake
	short map[string]uint8       // secrets of less than window, whole
}

// Note adds a secret. What has less than eight bytes cannot be told from other text.
func (s *Spy) Note(secret, what string) {
	if len(secret) < 8 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	kind := slices.Index(s.kinds, what)
	if kind < 0 {
		kind = len(s.kinds)
		s.kinds = append(s.kinds, what)
	}
	if len(secret) < window {
		if s.short == nil {
			s.short = map[string]uint8{}
		}
		s.short[secret] = uint8(kind)
		return
	}
	if s.ends == nil {
		s.ends = map[[window]byte]uint8{}
	}
	s.ends[[window]byte([]byte(secret[len(secret)-window:]))] = uint8(kind)
}

// Kinds is what has been noted so far, sorted.
func (s *Spy) Kinds() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(slices.Values(s.kinds))
}

// Secrets is how many secrets have been noted.
func (s *Spy) Secrets() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ends) + len(s.short)
}

// FoundIn lists what kinds of secret are in text, sorted.
func (s *Spy) FoundIn(text []byte) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := map[string]bool{}
	for i := range max(0, len(text)-window+1) {
		if kind, ok := s.ends[[window]byte(text[i:i+window])]; ok {
			found[s.kinds[kind]] = true
		}
	}
	whole := string(text)
	for secret, kind := range s.short {
		if strings.Contains(whole, secret) {
			found[s.kinds[kind]] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// RoundTrip implements http.RoundTripper.
func (s *Spy) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := s.Next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	for _, c := range resp.Cookies() {
		s.Note(c.Value, "cookie "+strings.TrimRight(c.Name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))
	}
	if to, err := resp.Location(); err == nil {
		for _, name := range []string{"code", "state", "nonce", "code_challenge", "id_token_hint"} {
			s.Note(to.Query().Get(name), name)
		}
	}
	return resp, nil
}

// provider notes the tokens in what next answers, whatever form it has.
func (s *Spy) provider(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			next.ServeHTTP(w, r)
			return
		}
		tee := &tee{ResponseWriter: w}
		defer func() { // also when the answer is cut
			for _, m := range token.FindAllSubmatch(tee.body, -1) {
				s.Note(string(m[2]), string(m[1]))
			}
		}()
		next.ServeHTTP(tee, r)
	})
}

var token = regexp.MustCompile(`"(access_token|refresh_token|id_token)":"([^"]*)"`)

// teeLimit is more than any answer has before its padding.
const teeLimit = 16 << 10

// tee keeps the beginning of what is written.
type tee struct {
	http.ResponseWriter
	body []byte
}

// Write implements http.ResponseWriter.
func (t *tee) Write(b []byte) (int, error) {
	t.body = append(t.body, b[:min(len(b), teeLimit-len(t.body))]...)
	return t.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (t *tee) Unwrap() http.ResponseWriter { return t.ResponseWriter }
