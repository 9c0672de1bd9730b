package product

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/config"
)

// reload is app.Reload of the config with each old text as the new.
func (w *world) reload(change ...string) error {
	w.t.Helper()
	cfg, err := config.Parse([]byte(strings.NewReplacer(change...).Replace(w.cfg)), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.app.Reload(cfg)
}

// write puts a file into the folder of the config.
func (w *world) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

const reloaded, refused = `msg="config reloaded"`, `msg="config was not reloaded`

func (w *world) said(what string) int { return strings.Count(w.log.String(), what) }

// A new config may come before the file that it names: it is served once that is there.
func TestAConfigThatComesBeforeItsFiles(t *testing.T) {
	t.Parallel()
	inFakeTime(t, options{life: time.Minute, followed: true}, func(w *world) {
		b := w.login("ada")
		w.write("lamplighter.yaml", strings.NewReplacer("client-secret\"", "second\"", "X-User-ID", "X-Who").Replace(w.cfg))
		time.Sleep(5 * time.Second)
		if w.said(refused) != 1 || w.said(reloaded) != 0 || b.Fetch("/").Echo(w.t).Headers["x-user-id"] == nil {
			t.Fatal("a config was served whose secret is not there")
		}
		w.write("second", secret)
		time.Sleep(5 * time.Second)
		if w.said(reloaded) != 1 || b.Fetch("/").Echo(w.t).Headers["x-who"] == nil {
			t.Error("the config was not served when the secret was there")
		}
		w.write("client-secret", "of no interest any more")
		time.Sleep(5 * time.Second)
		if w.said(reloaded) != 1 || w.said(refused) != 1 {
			t.Error("a file that is not named any more is followed")
		}
	})
}

// What somebody is still writing is not served, valid or not.
func TestHalfAFileIsNotServed(t *testing.T) {
	t.Parallel()
	inFakeTime(t, options{life: time.Minute, followed: true}, func(w *world) {
		time.Sleep(500 * time.Millisecond) // between two looks
		half, rest, _ := strings.Cut(w.cfg, "headers:")
		for range 3 {
			w.write("lamplighter.yaml", half)
			time.Sleep(time.Second)
			w.write("lamplighter.yaml", half+"# ")
			time.Sleep(time.Second)
		}
		w.write("lamplighter.yaml", half+"headers:"+rest+"\n# all of it")
		time.Sleep(5 * time.Second)
		if n := w.said(reloaded); n != 1 || w.said(refused) != 0 {
			t.Errorf("reloaded %d times, refused %d", n, w.said(refused))
		}
	})
}

// Reload swaps all or nothing, and is refused what a running process cannot follow.
func TestReloadIsWhole(t *testing.T) {
	t.Parallel()
	inFakeTime(t, options{life: time.Minute}, func(w *world) {
		b := w.login("ada")
		whole := func(what, header string) {
			t.Helper()
			h := b.Fetch("/").Echo(t).Headers
			others := map[string][]string{}
			maps.Copy(others, h)
			delete(others, header)
			if h[header] == nil || others["x-user-id"] != nil || others["x-who"] != nil || h["authorization"] == nil {
				t.Errorf("%s: the user is not told by %s alone: %v", what, header, h)
			}
		}
		whole("at first", "x-user-id")
		const rename, to = "user_id: X-User-ID", "user_id: X-Who"
		for name, change := range map[string][]string{
			"listen": {`admin: "127.0.0.1:0"`, `admin: "127.0.0.1:1"`}, "store": {"memory: {}", "bolt: {path: /nowhere/x.db}"},
			"app": {"store:", "app: other\nstore:"}, "cache": {"store:", "cache: {ttl: 9s}\nstore:"},
			"provider.issuer": {issuer, "http://127.0.0.1:9401"}, "provider.client_id": {"client_id: lamplighter", "client_id: other"},
			"sweep.enabled": {"store:", "sweep: {enabled: false}\nstore:"}, "sweep.max_in_flight": {"store:", "sweep: {max_in_flight: 9}\nstore:"},
		} {
			if err := w.reload(append(change, rename, to)...); err == nil || !strings.HasPrefix(err.Error(), name+": read at a start only") {
				t.Errorf("%s: %v", name, err)
			}
		}
		for name, change := range map[string][]string{
			"session.keys_file": {"/keys\"", "/client-secret\""}, "client secret": {"/client-secret\"", "/none\""},
		} {
			if err := w.reload(append(change, rename, to)...); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %v", name, err)
			}
		}
		whole("after what was refused", "x-user-id")
		if err := w.reload(rename, to); err != nil {
			t.Fatal(err)
		}
		whole("after a reload", "x-who")
		if err := w.reload(); err != nil {
			t.Fatal(err)
		}
		whole("and back", "x-user-id")
		time.Sleep(50 * time.Second)
		if b.Fetch("/").Status != http.StatusOK || w.op.Ledger().ConsumedTwice != 0 {
			t.Error("a refresh did not outlive the reloads")
		}
	})
}
