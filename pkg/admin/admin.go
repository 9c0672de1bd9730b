package admin

import (
	"fmt"
	"net/http"
)

// Handler serves the admin paths. ready returns nil once the process can answer
// Checks; it is asked on every /readyz and must not call out. /livez only says
// that the process serves HTTP: a provider that is down is no reason to restart.
func Handler(ready func() error, metrics http.Handler, sessions Sessions) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := ready(); err != nil {
			http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	pages := sessionPages{sessions}
	mux.HandleFunc("GET /sessions/{name}", pages.answer(sessions.View))
	mux.HandleFunc("POST /sessions/{name}/refresh", pages.answer(pages.refresh))

	// The operator's browser reaches this listener, and so does every page open in it.
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		write(w, newProblem(http.StatusForbidden, "another site must not make this request; use `lamplighter sessions`, or curl"))
	}))
	return guard.Handler(mux)
}
