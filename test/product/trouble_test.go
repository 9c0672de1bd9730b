package product

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// Ten minutes of an answer that is no verdict on any session: nobody is logged
// out, requests are bounded, and all is well soon after it ends.
func TestTenMinutesOfTrouble(t *testing.T) {
	t.Parallel()
	const users, second = 8, time.Second
	for name, what := range map[string]trouble{
		"invalid_client":           answers(401, `{"error":"invalid_client"}`),
		"invalid_client as 400":    answers(400, `{"error":"invalid_client"}`),
		"unauthorized_client":      answers(401, `{"error":"unauthorized_client"}`),
		"401 without a code":       answers(401, ""),
		"429":                      answers(429, "", "Retry-After: 7"),
		"429 with a date":          answers(429, "", "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT"),
		"429 with garbage":         answers(429, "", "Retry-After: soon"),
		"429 for ever":             answers(429, "", "Retry-After: 99999999999999999999"),
		"slow_down":                answers(400, `{"error":"slow_down"}`),
		"503":                      answers(503, "<html>down</html>", "Content-Type: text/html"),
		"temporarily_unavailable":  answers(400, `{"error":"temporarily_unavailable"}`),
		"500":                      answers(500, `{"error":"server_error"}`),
		"502 of a proxy":           answers(502, "<html>bad gateway</html>", "Content-Type: text/html"),
		"HTML with 200":            answers(200, "<html>maintenance</html>", "Content-Type: text/html"),
		"nothing with 200":         answers(200, ""),
		"broken JSON":              answers(200, `{"access_token":"x"`),
		"two access tokens":        answers(200, `{"access_token":"x","access_token":"y","token_type":"Bearer"}`),
		"error with 200":           answers(200, `{"error":"server_error"}`),
		"ten megabytes":            answers(200, `{"access_token":"`+strings.Repeat("x", 10<<20)+`"}`),
		"a redirect that repeats":  answers(307, "", "Location: http://127.0.0.1:9400/elsewhere"),
		"a redirect that does not": answers(302, "", "Location: http://127.0.0.1:9400/elsewhere"),
		"invalid_request":          answers(400, `{"error":"invalid_request"}`),
		"invalid_scope":            answers(400, `{"error":"invalid_scope"}`),
		"403 of a firewall":        answers(403, "<html>blocked</html>", "Content-Type: text/html"),
		"connection reset":         cutBefore,
		"TLS failure":              noTLS,
		"hangs":                    hangs,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inFakeTime(t, options{life: time.Minute}, func(w *world) {
				t := w.t
				crowd := w.crowd(users)
				w.line.set(what)
				begun := time.Now()
				for ; time.Since(begun) < 10*time.Minute; time.Sleep(7 * second) {
					for i, b := range crowd {
						a := b.Fetch("/")
						if a.Status == http.StatusOK && !w.accepted(a.Bearer(t)) {
							t.Fatalf("user %d got a dead token after %v", i, time.Since(begun))
						}
						if len(a.Header.Values("Set-Cookie")) != 0 {
							t.Fatalf("user %d lost the cookie: %v", i, a)
						}
					}
				}
				if got, most := w.line.requests(), users*10*60/2; got == 0 || got > most {
					t.Errorf("%d token requests in ten minutes, want 1 to %d", got, most)
				}
				w.line.set(nil)
				time.Sleep(5*time.Minute + 10*second) // the longest Retry-After
				for i, b := range crowd {
					b.Fetch("/")
					time.Sleep(3 * second)
					if a := b.Fetch("/"); a.Status != http.StatusOK || !w.accepted(a.Bearer(t)) {
						t.Errorf("user %d afterwards: %v", i, a)
					}
				}
				if l := w.op.Ledger(); l.Logins != users || l.Revoked != 0 {
					t.Errorf("%d logins of %d users, %d grants revoked", l.Logins, users, l.Revoked)
				}
				w.once()
			})
		})
	}
}

// Whatever expires_in says: no session is lost, no loop begins.
func TestEveryExpiresIn(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		text        string
		life        time.Duration // as lamplighter is to understand it
		perHourMost int
	}{
		"missing":  {"", 5 * time.Minute, 24},
		"null":     {"null", 5 * time.Minute, 24},
		"zero":     {"0", 5 * time.Minute, 24},
		"negative": {"-60", 5 * time.Minute, 24},
		"string":   {`"3600"`, time.Hour, 3},
		"float":    {"3600.5", time.Hour, 3},
		"1e10":     {"1e10", 24 * time.Hour, 1},
		"1e300":    {"1e300", 24 * time.Hour, 1},
		"true":     {"true", 5 * time.Minute, 24},
		"text":     {`"soon"`, 5 * time.Minute, 24},
		"object":   {`{"s":1}`, 5 * time.Minute, 24},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inFakeTime(t, options{life: time.Minute}, func(w *world) {
				t := w.t
				b := w.login("ada")
				w.op.SetAccessTokenLife(48 * time.Hour) // what it really is does not matter here
				w.line.set(edited(map[string]string{"expires_in": tt.text}))
				time.Sleep(time.Minute)
				b.Fetch("/").Bearer(t)
				time.Sleep(time.Second)
				after := w.refreshes()
				if after == 0 {
					t.Fatal("not refreshed within a minute")
				}
				for range 60 {
					b.Fetch("/").Bearer(t)
					time.Sleep(time.Minute)
				}
				if got := w.refreshes() - after; got > tt.perHourMost {
					t.Errorf("%d refreshes in an hour, want at most %d", got, tt.perHourMost)
				}
				if !strings.Contains(w.log.String(), "access_token_life="+tt.life.String()) {
					t.Errorf("it is not understood as %v", tt.life)
				}
				w.once()
			})
		})
	}
}
