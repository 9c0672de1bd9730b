package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	answerWithin = 30 * time.Second // a refresh takes as long as the provider
	answerMost   = 1 << 20
)

// Client asks the admin listener of another process. Its errors are *[Problem]
// when lamplighter has answered with one, or the name cannot be one; any other
// says that nobody has.
type Client struct {
	base string
	http http.Client
}

// NewClient asks at address, host:port.
func NewClient(address string) *Client {
	return &Client{base: "http://" + address + "/sessions/", http: http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true}, // and no proxy: the address is one of this network
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Session shows a session.
func (c *Client) Session(ctx context.Context, name string) (Session, error) {
	return c.ask(ctx, http.MethodGet, name, "")
}

// Refresh refreshes a session and shows it afterwards.
func (c *Client) Refresh(ctx context.Context, name string) (Session, error) {
	return c.ask(ctx, http.MethodPost, name, "/refresh")
}

// Revoke ends a session and shows it afterwards.
func (c *Client) Revoke(ctx context.Context, name string) (Session, error) {
	return c.ask(ctx, http.MethodPost, name, "/revoke")
}

func (c *Client) ask(ctx context.Context, method, name, action string) (Session, error) {
	name = strings.ToLower(name)
	if _, err := prefixOf(name); err != nil { // it would be another path
		return Session{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	resp, err := c.do(ctx, method, name+action, nil)
	if err != nil {
		return Session{}, err
	}
	defer resp.Body.Close()
	body, err := read(resp)
	if err != nil {
		return Session{}, err
	}
	var s Session
	if json.Unmarshal(body, &s) != nil || (s.Live == nil) == (s.Ended == nil) {
		return Session{}, stranger(resp)
	}
	return s, nil
}

// do makes a request whose answer is one of an admin listener, and OK.
func (c *Client) do(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, fmt.Errorf("ask lamplighter: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask lamplighter: %w", err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	said, err := read(resp)
	if err != nil {
		return nil, err
	}
	var p Problem
	if json.Unmarshal(said, &p) != nil || p.Detail == "" {
		return nil, stranger(resp)
	}
	return nil, &p
}

func read(resp *http.Response) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(resp.Body, answerMost))
	if err != nil {
		return nil, fmt.Errorf("ask lamplighter: %w", err)
	}
	return body, nil
}

func stranger(resp *http.Response) error {
	return fmt.Errorf("ask lamplighter: %s: what answers there, with %d, is no admin listener of this version", resp.Request.URL, resp.StatusCode)
}
