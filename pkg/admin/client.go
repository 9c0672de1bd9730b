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
		Timeout:       answerWithin,
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

func (c *Client) ask(ctx context.Context, method, name, action string) (Session, error) {
	name = strings.ToLower(name)
	if _, err := prefixOf(name); err != nil { // it would be another path
		return Session{}, err
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+name+action, nil)
	if err != nil {
		return Session{}, fmt.Errorf("ask lamplighter: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return Session{}, fmt.Errorf("ask lamplighter: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, answerMost))
	if err != nil {
		return Session{}, fmt.Errorf("ask lamplighter: %w", err)
	}
	var s Session
	var p Problem
	switch ok := resp.StatusCode == http.StatusOK; {
	case ok && json.Unmarshal(body, &s) == nil && (s.Live == nil) != (s.Ended == nil):
		return s, nil
	case !ok && json.Unmarshal(body, &p) == nil && p.Detail != "":
		return Session{}, &p
	default:
		return Session{}, fmt.Errorf("ask lamplighter: %s: what answers there, with %d, is no admin listener of this version", req.URL, resp.StatusCode)
	}
}
