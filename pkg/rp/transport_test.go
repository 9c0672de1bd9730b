package rp

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// HTTP/2 repeats requests, see oneTimeTransport; a server that offers it does not
// get it.
func TestOneTimeTransport(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	ours := oneTimeTransport()
	defer ours.CloseIdleConnections()
	ours.TLSClientConfig.RootCAs = s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	for rt, want := range map[http.RoundTripper]string{ours: "HTTP/1.1", s.Client().Transport: "HTTP/2.0"} {
		resp, err := (&http.Client{Transport: rt}).Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || string(body) != want {
			t.Errorf("%s, %v; want %s", body, err, want)
		}
		resp.Body.Close()
	}
	if ours.IdleConnTimeout <= 0 || ours.IdleConnTimeout > 3*time.Second/2 {
		t.Errorf("idle connections are kept for %v", ours.IdleConnTimeout)
	}
}
