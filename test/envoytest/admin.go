package envoytest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// ErrNoStat means that Envoy has no counter or gauge of that name: it is
// misspelled, or nothing has touched it yet.
var ErrNoStat = errors.New("no such stat")

// awaitReady fills in the addresses once Envoy serves.
func (e *Envoy) awaitReady(ctx context.Context, adminFile string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		err := e.ready(ctx, adminFile)
		if err == nil {
			return nil
		}
		select {
		case <-e.proc.Done():
			return errors.New("envoy ended")
		case <-ctx.Done():
			return fmt.Errorf("wait until ready: %w", err)
		case <-poll.C:
		}
	}
}

func (e *Envoy) ready(ctx context.Context, adminFile string) error {
	text, err := os.ReadFile(adminFile)
	if err != nil {
		return err
	}
	if _, err := netip.ParseAddrPort(string(text)); err != nil {
		return err
	}
	e.admin = string(text)
	if _, err := e.get(ctx, "/ready"); err != nil {
		return err
	}
	listeners, err := e.get(ctx, "/listeners")
	if err != nil {
		return err
	}
	// One line a listener: name::address. Only the first is ours to know.
	line, _, _ := strings.Cut(listeners, "\n")
	_, addr, ok := strings.Cut(line, "::")
	if !ok {
		return fmt.Errorf("read listeners: got %q", listeners)
	}
	e.addr = addr
	return nil
}

// Stats reads one counter or gauge by its full name, for example
// "http.web.ext_authz.denied". Envoy makes many only when first used: until then
// the error is [ErrNoStat]. Workers hand their counts in every now and then, so
// a test waits for the value it expects.
func (e *Envoy) Stats(name string) (uint64, error) {
	filter := url.QueryEscape("^" + regexp.QuoteMeta(name) + "$")
	text, err := e.get(context.Background(), "/stats?filter="+filter)
	if err != nil {
		return 0, fmt.Errorf("read stat %s: %w", name, err)
	}
	value, ok := strings.CutPrefix(strings.TrimSpace(text), name+": ")
	if !ok {
		return 0, fmt.Errorf("read stat %s: %w", name, ErrNoStat)
	}
	number, err := strconv.ParseUint(value, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read stat %s: %w", name, err)
	}
	return number, nil
}

// Version is what the process says of itself, for example "1.40.0".
func (e *Envoy) Version() (string, error) {
	text, err := e.get(context.Background(), "/server_info")
	if err != nil {
		return "", fmt.Errorf("read version: %w", err)
	}
	var info struct {
		Version string // commit/version/state/kind/library
	}
	if err := json.Unmarshal([]byte(text), &info); err != nil {
		return "", fmt.Errorf("read version: %w", err)
	}
	parts := strings.Split(info.Version, "/")
	if len(parts) < 2 {
		return "", fmt.Errorf("read version: got %q", info.Version)
	}
	return parts[1], nil
}

// get reads a page of the admin interface. It keeps no connection: a test may
// ask for leaked goroutines after Stop.
func (e *Envoy) get(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+e.admin+path, nil)
	if err != nil {
		return "", err
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("get %s: status %d: %s", path, response.StatusCode, strings.TrimSpace(string(body)))
	}
	return string(body), nil
}
