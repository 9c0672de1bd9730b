package admin

import (
	"fmt"
	"net/http"
)

// Options of Handler.
type Options struct {
	// Ready returns nil once the process can answer Checks; it is asked on every
	// /readyz and must not call out. /livez only says that the process serves HTTP: a
	// provider that is down is no reason to restart.
	Ready func() error
	// Trouble is what is wrong with a process that is ready, if anything; it must not
	// call out either.
	Trouble  func() string
	Metrics  http.Handler
	Sessions Sessions
	Crowd    Crowd
	// Host is where the listener is configured to be, host:port. The session pages
	// answer to that name, to localhost and to any IP address.
	Host string
}

// Handler serves the admin paths.
func Handler(o Options) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", Health(o))
	mux.Handle("/sessions/", onlyAs(o.Host, sessionHandler(o)))

	// The operator's browser reaches this listener, and so does every page open in it.
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		write(w, newProblem(http.StatusForbidden, "another site must not make this request; use `lamplighter sessions`, or curl"))
	}))
	return guard.Handler(mux)
}

// Health serves /metrics, /livez and /readyz alone; of o it needs no more than they do.
func Health(o Options) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", o.Metrics)
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := o.Ready(); err != nil {
			http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		if wrong := o.Trouble(); wrong != "" {
			fmt.Fprintln(w, "ready, with "+wrong)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	return mux
}

func sessionHandler(o Options) http.Handler {
	one, all := sessionPages{o.Sessions}, crowdPages{o.Crowd}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sessions/{name}", one.answer(o.Sessions.View))
	mux.HandleFunc("POST /sessions/{name}/refresh", one.answer(one.refresh))
	mux.HandleFunc("POST /sessions/{name}/revoke", one.answer(one.revoke))
	mux.HandleFunc("POST /sessions/list", all.list)
	mux.HandleFunc("POST /sessions/revoke", all.revoke)
	return mux
}
