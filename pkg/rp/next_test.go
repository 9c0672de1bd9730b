package rp_test

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lamplighter/lamplighter/pkg/rp"
	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/test/op"
)

// next makes browsers meet the Next of the options of before, changed.
func (w *world) next(change ...func(*rp.Options)) (before *rp.RP) {
	w.t.Helper()
	o := options(w.t, nil)
	o.Sessions, o.Log = w.vault, slog.New(slog.NewJSONHandler(w.log, nil))
	for _, c := range change {
		c(&o)
	}
	next, err := w.Next(o)
	if err != nil {
		w.t.Fatal(err)
	}
	before, w.RP = w.RP, next
	return before
}

// A code is sent once, whoever was served the callback: before a change of the options,
// after it, or both.
func TestNextSharesTheCodes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, p := withOP(t)
		b := w.browser()
		callback := b.signIn(p, b.begin("/a"), "ada")
		w.next()
		used := b.clone()
		if resp := b.get(callback); resp.StatusCode != http.StatusSeeOther {
			t.Fatalf("a login over the change: %d", resp.StatusCode)
		}
		w.next()
		wantPage(t, used.get(callback), http.StatusBadRequest, "used already")
		if n := tokenPosts(p); n != 1 {
			t.Fatalf("%d token requests", n)
		}

		callback = b.signIn(p, b.begin("/b"), "ada")
		if err := p.SetFault(op.Fault{GrantType: "authorization_code", HoldBefore: true}); err != nil {
			t.Fatal(err)
		}
		var tabs sync.WaitGroup
		handles := make([]string, 4)
		for i := range handles {
			tab := b.clone()
			tabs.Go(func() {
				if resp := tab.get(callback); resp.StatusCode != http.StatusSeeOther {
					t.Errorf("tab %d: %d", i, resp.StatusCode)
				}
				handles[i] = tab.handle()
			})
			synctest.Wait()
			before := w.next()
			var closed sync.WaitGroup
			closed.Go(before.Close) // waits for what others began
			if synctest.Wait(); tokenPosts(p) != 2 {
				t.Errorf("%d token requests", tokenPosts(p))
			}
			tabs.Go(closed.Wait)
		}
		p.Release()
		tabs.Wait()
		for _, h := range handles {
			if h == "" || h != handles[0] {
				t.Errorf("the tabs have the sessions %q", handles)
				break
			}
		}
		if n := tokenPosts(p); n != 2 || p.Ledger().Revoked != 0 {
			t.Errorf("%d token requests, %d revoked", n, p.Ledger().Revoked)
		}
	})
}

// What is found of the provider is found for all, whichever asked.
func TestNextBeforeTheProviderIsFound(t *testing.T) {
	t.Parallel()
	p, err := op.New(op.Options{Issuer: issuer, Clients: []op.Client{{ID: clientID, Secret: clientSecret, RedirectURIs: []string{external + "/auth/callback"}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	w := undiscovered(t, options(t, p.RoundTripper()))
	before := w.next()
	if w.Ready() == nil {
		t.Fatal("ready without a provider")
	}
	wantPage(t, w.browser().get("/auth/login"), http.StatusServiceUnavailable)
	if err := before.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.Ready(); err != nil {
		t.Fatal(err)
	}
	if resp := w.browser().login(p, "/"); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("login: %d", resp.StatusCode)
	}
}

// The issuer and the client stay, whatever the options say; the rest is theirs, or an error.
func TestNextOptions(t *testing.T) {
	t.Parallel()
	w, p := withOP(t)
	w.next(func(o *rp.Options) {
		o.Issuer, o.ClientID, o.Transport = "https://other.example.com", "other", nil
		o.Absolute = time.Minute
	})
	b := w.browser()
	if resp := b.login(p, "/"); resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("login: %d", resp.StatusCode)
	}
	if all := w.vault.sessions(); len(all) != 1 || all[0].EndsAt.Sub(all[0].CreatedAt) != time.Minute || all[0].Provider != issuer {
		t.Errorf("sessions: %+v", all)
	}
	o := options(t, nil)
	o.Log = slog.New(slog.DiscardHandler)
	o.ClientSecret = func() (session.Secret, error) { return session.Secret{}, errors.New("no such file") }
	if _, err := w.Next(o); err == nil || !strings.Contains(err.Error(), "read client secret: no such file") {
		t.Errorf("without a client secret: %v", err)
	}
	o.PathPrefix = "auth"
	if _, err := w.Next(o); err == nil || !strings.Contains(err.Error(), "path prefix") {
		t.Errorf("with a wrong prefix: %v", err)
	}
}
