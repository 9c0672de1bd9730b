package echo

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
)

// Request is one request as the app received it, and the JSON it answers with.
type Request struct {
	Method string `json:"method"`
	// Path is the request target as written on the wire, query included.
	Path string `json:"path"`
	// Headers maps a lower-case name to its lines in order. "host" is one of them.
	Headers map[string][]string `json:"headers"`
}

// API is the app, an [http.Handler]. The zero value is ready; it may be used
// by any number of goroutines.
type API struct {
	mu    sync.Mutex
	count int
	last  Request
}

// ServeHTTP answers 200 with the request as JSON, whatever the method and path.
// JSON has no place for bytes that are not UTF-8: for those ask Last.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	got := received(r)
	a.mu.Lock()
	a.count++
	a.last = got
	a.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	body := json.NewEncoder(w)
	body.SetIndent("", "  ")
	// It fails only when the client is gone, and that is no news.
	_ = body.Encode(got)
}

// Requests is the number of requests that reached the app so far.
func (a *API) Requests() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.count
}

// Last is the request that arrived last, and false before the first one.
func (a *API) Last() (Request, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last, a.count > 0
}

func received(r *http.Request) Request {
	headers := make(map[string][]string, len(r.Header)+1)
	for name, lines := range r.Header {
		name = strings.ToLower(name)
		headers[name] = append(headers[name], lines...)
	}
	// net/http moves it out of the header map.
	headers["host"] = []string{r.Host}
	return Request{Method: r.Method, Path: r.RequestURI, Headers: headers}
}
