package stack

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/op"
)

func (s *Stack) startOP(t testing.TB) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:"+FreePort(t)) // where nobody settles while it is away
	if err != nil {
		t.Fatal(err)
	}
	s.Issuer, s.providerConfig = "http://"+listener.Addr().String(), "profile: generic"
	o := op.Options{
		Issuer: s.Issuer, AccessTokenLife: s.opts.AccessTokenLife,
		Clients: []op.Client{{
			ID: ClientID, Secret: ClientSecret,
			RedirectURIs: []string{s.URL + "/auth/callback"}, PostLogoutRedirectURIs: []string{s.URL + "/"},
		}},
	}
	if s.opts.Provider != nil {
		s.opts.Provider(&o)
	}
	if s.OP, err = op.New(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.OP.Close() // first: what it holds keeps the server open
		s.StopOP()
	})
	s.serveOP(listener)
}

func (s *Stack) serveOP(listener net.Listener) {
	if s.opts.Listen != nil {
		listener = s.opts.Listen(listener)
	}
	var handler http.Handler = s.OP
	if s.opts.Spy != nil {
		handler = s.opts.Spy.provider(handler)
	}
	s.server = &httptest.Server{Listener: listener, Config: &http.Server{Handler: handler}}
	s.server.Start()
}

// StopOP takes the provider away: nothing listens there any more, and every
// connection is closed. What it knows it keeps. A request under way is answered
// first, if it does not take long: an answer that is cut costs a session, which is
// another matter.
func (s *Stack) StopOP() {
	if s.server == nil {
		return
	}
	soon, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = s.server.Config.Shutdown(soon)
	s.server.CloseClientConnections()
	s.server.Close()
	s.server = nil
}

// ReturnOP brings the provider back, where it was.
func (s *Stack) ReturnOP(t testing.TB) {
	t.Helper()
	listener, err := net.Listen("tcp", strings.TrimPrefix(s.Issuer, "http://"))
	if err != nil {
		t.Fatal(fmt.Errorf("bring the provider back: %w", err))
	}
	s.serveOP(listener)
}
