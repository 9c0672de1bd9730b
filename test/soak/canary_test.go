//go:build soak

package soak

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// canaries looks for every secret of the traffic in all that lamplighter tells
// and leaves: log, metrics, answers, the store's files, and what it writes about
// itself when it is made to stop with SIGQUIT. There are no traces yet.
func (c *crowd) canaries() {
	c.t.Helper()
	s, private := c.s, []string{"client-secret", "keys"}
	for _, name := range private {
		content, err := os.ReadFile(s.File(name))
		if err != nil {
			c.t.Fatal(err)
		}
		c.spy.Note(strings.TrimSpace(string(content)), name)
	}
	for i := range users {
		c.spy.Note(c.user(i).name, "user name")
	}
	_, metrics, err := s.Lamplighter.Get("/metrics")
	if err != nil {
		c.t.Fatal(err)
	}
	s.Lamplighter.Signal(syscall.SIGQUIT)
	if code := s.Lamplighter.Wait(); code != 2 || !strings.Contains(s.Lamplighter.Log(), "\ngoroutine 1 ") {
		c.t.Errorf("after SIGQUIT: exit code %d, and maybe no goroutines in the log", code)
	}
	places := map[string][]byte{"metrics": []byte(metrics), "log": []byte(s.Lamplighter.Log())}
	for body := range c.said {
		places["answers"] = append(places["answers"], body+"\n"...)
	}
	files, err := filepath.Glob(s.File("*"))
	if err != nil {
		c.t.Fatal(err)
	}
	for _, path := range files {
		info, err := os.Stat(path)
		if err == nil && info.Mode().IsRegular() && !slices.Contains(private, filepath.Base(path)) {
			places[filepath.Base(path)], err = os.ReadFile(path)
		}
		if err != nil {
			c.t.Fatal(err)
		}
	}
	if len(places["sessions.db"]) == 0 {
		c.t.Errorf("no store among %q", files)
	}
	bytes, leaks := 0, 0
	for where, text := range places {
		bytes += len(text)
		if found := c.spy.FoundIn(text); len(found) > 0 {
			c.t.Errorf("%q in %s", found, where)
			leaks++
		}
	}
	for _, kind := range []string{
		"access_token", "client-secret", "code", "cookie " + sessionCookie, "id_token", "keys", "nonce", "refresh_token", "state", "user name",
	} {
		if !slices.Contains(c.spy.Kinds(), kind) {
			c.t.Errorf("no %s was there to be found", kind)
		}
	}
	c.t.Logf("%d secrets looked for in %d MB of log, metrics, answers and files: found in %d of the places", c.spy.Secrets(), bytes>>20, leaks)
}
