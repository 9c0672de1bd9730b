package admin_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// A page whose own name is made to resolve to the listener asks by that name, and
// the browser takes it for the same origin.
func TestHosts(t *testing.T) {
	t.Parallel()
	asking := func(s *sessions, configured, host, method, path string) int {
		h := handlerAt(s, configured)
		r := httptest.NewRequest(method, path, nil)
		r.Host = host
		r.Header.Set("Sec-Fetch-Site", "same-origin") // as the browser takes it
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code == http.StatusForbidden {
			wantProblem(t, w, http.StatusForbidden, "IP address", "localhost", "listen.admin")
		}
		return w.Code
	}
	for _, tt := range []struct {
		configured, host string
		may              bool
	}{
		{"127.0.0.1:9192", "127.0.0.1:9192", true},
		{"127.0.0.1:9192", "localhost:9192", true},
		{"127.0.0.1:9192", "LocalHost", true},
		{":9192", "10.2.3.4:9192", true},
		{":9192", "10.2.3.4", true},
		{"[::1]:9192", "[::1]:9192", true},
		{":9192", "[fd00::2]", true},
		{"lamp.example.com:9192", "lamp.example.com:9192", true},
		{"lamp.example.com:9192", "Lamp.Example.Com:80", true}, // behind a port-forward
		{"127.0.0.1:9192", "evil.example:9192", false},
		{"127.0.0.1:9192", "evil.example", false},
		{"lamp.example.com:9192", "evil.example", false},
		{"lamp.example.com:9192", "example.com", false},
		{"lamp.example.com:9192", "lamp.example.com.evil.example", false},
		{"127.0.0.1:9192", "127.0.0.1.evil.example:9192", false},
		{"127.0.0.1:9192", "localhost.evil.example:9192", false},
		{"127.0.0.1:9192", "127.0.0.1@evil.example:9192", false},
		{":9192", ":9192", false},
		{":9192", "", false},
	} {
		s := known()
		for path, method := range map[string]string{
			"/sessions/3f2a9c01d4be": "GET", "/sessions/3f2a9c01d4be/refresh": "POST", "/sessions/3f2a9c01d4be/revoke": "POST",
			"/sessions/list": "POST", "/sessions/revoke": "POST", "/sessions/": "GET",
		} {
			if code := asking(s, tt.configured, tt.host, method, path); (code == http.StatusForbidden) == tt.may {
				t.Errorf("%s %s as %q at %q: %d", method, path, tt.host, tt.configured, code)
			}
		}
		if !tt.may && s.refreshed+s.revoked > 0 {
			t.Errorf("as %q at %q: %d refreshed, %d revoked", tt.host, tt.configured, s.refreshed, s.revoked)
		}
		for _, path := range []string{"/livez", "/readyz", "/metrics"} { // kubelet and Prometheus ask by any name
			if code := asking(s, tt.configured, tt.host, "GET", path); code != http.StatusOK {
				t.Errorf("%s as %q at %q: %d", path, tt.host, tt.configured, code)
			}
		}
	}
}
