package providers

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/test/child"
)

const (
	// Users is how many people the providers know, by the names that User gives.
	Users = 20
	// AccessTokenLife of the tokens they give.
	AccessTokenLife = 12 * time.Second

	installWithin = 5 * time.Minute
	listensWithin = 2 * time.Minute
	stopWithin    = 15 * time.Second
	// late is how long bytes take to a provider, and back.
	late = 100 * time.Millisecond
)

// User is the name of the i-th user, who logs in with it as password.
func User(i int) string { return fmt.Sprintf("user-%02d", i) }

// Provider is one running provider.
type Provider struct {
	Issuer string
	// Config is what lamplighter's provider section has to say of it.
	Config string

	books    *books
	gate     *gate
	userinfo string // endpoint
}

// Events is what the provider has said so far.
func (p *Provider) Events() []Event { return p.books.all() }

// open makes the way to a provider, and its books.
func open(t testing.TB, config string, read func([]byte) (Event, bool)) *Provider {
	t.Helper()
	g, err := newGate(late)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.close)
	return &Provider{Issuer: g.url(), Config: config, books: &books{read: read}, gate: g}
}

// install runs one of the installations, which may have to fetch a lot.
func install(t testing.TB, from func(context.Context) (string, error)) (dir string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), installWithin)
	defer cancel()
	dir, err := from(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// run starts the provider's process, waits until it answers, and stops it when
// the test ends.
func (p *Provider) run(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	cmd.Stdout, cmd.Stderr = p.books, p.books
	proc, err := child.Start(cmd)
	if err != nil {
		t.Fatalf("start %s: %v", cmd.Path, err)
	}
	t.Cleanup(func() {
		_ = proc.Stop(stopWithin) // its exit code says nothing of us
		if t.Failed() {
			t.Logf("the provider's last words:\n%s", p.books)
		}
	})
	for deadline := time.Now().Add(listensWithin); ; {
		if events := p.Events(); len(events) > 0 && events[0].Kind == Listening {
			p.gate.leadTo(events[0].Detail)
			break
		}
		select {
		case <-proc.Done():
			t.Fatalf("the provider ended before it listened: %v\n%s", proc.Wait(), p.books)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("the provider does not listen after %v\n%s", listensWithin, p.books)
		}
	}
	if err := p.discover(t.Context()); err != nil {
		t.Fatalf("discover the provider: %v\n%s", err, p.books)
	}
}

func (p *Provider) discover(ctx context.Context) error {
	var found struct {
		Userinfo string `json:"userinfo_endpoint"`
	}
	resp, err := get(ctx, p.Issuer+"/.well-known/openid-configuration", "")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&found); err != nil || !strings.HasPrefix(found.Userinfo, "http") {
		return fmt.Errorf("status %d, userinfo_endpoint %q: %w", resp.StatusCode, found.Userinfo, err)
	}
	p.userinfo = found.Userinfo
	return nil
}

// Accepts tells whether an access token is good at the provider itself.
func (p *Provider) Accepts(ctx context.Context, accessToken string) (bool, error) {
	resp, err := get(ctx, p.userinfo, "Bearer "+accessToken)
	if err != nil {
		return false, err
	}
	return resp.StatusCode == http.StatusOK, resp.Body.Close()
}

func get(ctx context.Context, url, authorization string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	return http.DefaultClient.Do(req)
}
