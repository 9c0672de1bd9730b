package product

import (
	"net/http"
	"os"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lamplighter/lamplighter/pkg/store/memstore"
	"github.com/lamplighter/lamplighter/test/faultstore"
	"github.com/lamplighter/lamplighter/test/op"
)

// The names of the user's header, before and after a reload.
const oldHeader, newHeader = "user_id: X-User-ID", "user_id: X-Who"

// A reload while the newest token is not stored yet, in which headers are renamed: it is
// served under the new name, and nobody's own header passes for it, while the store can
// be read and while it cannot. It is stored in the end, and nothing is refreshed twice.
func TestReloadWhileATokenIsNotStored(t *testing.T) {
	t.Parallel()
	inFakeTime(t, options{life: time.Minute, config: "sweep: {enabled: false}"}, func(w *world) { // which may be about to refresh the new one, too
		b := w.login("ada")
		w.fault.Set(faultstore.Down, faultstore.Commit)
		time.Sleep(62 * time.Second)
		renewed := b.Fetch("/").Bearer(t)
		if err := w.reload(oldHeader, newHeader); err != nil {
			t.Fatal(err)
		}
		good := func(when string) {
			t.Helper()
			a := b.Fetch("/", "X-Who: mallory", "X_Who: mallory")
			h := a.Echo(t).Headers
			if a.Bearer(t) != renewed || len(h["x-who"]) != 1 || h["x-who"][0] == "mallory" || h["x_who"] != nil || h["x-user-id"] != nil {
				t.Errorf("%s: %v", when, h)
			}
		}
		good("the store can be read")
		w.fault.Set(faultstore.Down, faultstore.Get)
		good("the store cannot be read")
		w.fault.Mend()
		time.Sleep(2 * time.Second)
		good("the store is back")
		if n := w.refreshes(); n != 1 {
			t.Errorf("%d refreshes", n)
		}
		w.once()
	})
}

// A refresh that is under way when the config changes is the only one, and who waits for
// it is served.
func TestReloadDuringARefresh(t *testing.T) {
	t.Parallel()
	inFakeTime(t, options{life: time.Minute, config: "sweep: {enabled: false}"}, func(w *world) {
		b := w.login("ada")
		if err := w.op.SetFault(op.Fault{GrantType: "refresh_token", HoldAfter: true, Times: 1}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(62 * time.Second)
		done := make(chan struct{}, 2)
		ask := func() {
			if a := b.Fetch("/"); a.Status != http.StatusOK {
				t.Errorf("who waits over a reload: %v", a)
			}
			done <- struct{}{}
		}
		go ask()
		time.Sleep(time.Second)
		if err := w.reload(oldHeader, newHeader, "profile: generic", "profile: hydra", "store:", "refresh: {deadline: 1s, max_wait: 1s}\nstore:"); err != nil {
			t.Fatal(err)
		}
		go ask()
		time.Sleep(500 * time.Millisecond)
		w.op.Release()
		<-done
		<-done
		if n := w.refreshes(); n != 1 {
			t.Errorf("%d refreshes", n)
		}
		w.once()
	})
}

// Who is at the provider when the config changes comes back to a session, under the
// cookie of the time.
func TestReloadDuringALogin(t *testing.T) {
	t.Parallel()
	inFakeTime(t, options{life: time.Minute}, func(w *world) {
		b := w.browser()
		page := b.Visit("/")
		if err := w.reload("session: {", "session: {cookie: {name: __Host-other}, ", "store:", "rules: [{match: {path_prefix: /public/}, session: none}]\nstore:"); err != nil {
			t.Fatal(err)
		}
		if a := b.SubmitLogin(page, "ada"); a.Status != http.StatusOK {
			t.Fatalf("a login over a reload: %v", a)
		}
		b.Fetch("/").Bearer(t)
		if b.Cookie("__Host-other") == "" || b.Cookie("__Host-bff_session") != "" {
			t.Error("the session is under another name")
		}
	})
}

// A reload before the provider was ever found: what is found then is served by the new
// config, and is found once.
func TestReloadBeforeTheProviderIsFound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir, options{life: time.Minute})
		w.line.down.Store(true)
		time.AfterFunc(20*time.Second, func() {
			if w.app.Ready() == nil {
				t.Error("ready without a provider")
			}
			for range 3 {
				if err := w.reload(oldHeader, newHeader); err != nil {
					t.Error(err)
				}
			}
			w.line.down.Store(false)
		})
		w.start(memstore.NewAt(w.clock.now))
		defer func() { w.stop(); w.op.Close() }()
		if h := w.login("ada").Fetch("/").Echo(t).Headers; h["x-who"] == nil || h["x-user-id"] != nil {
			t.Errorf("headers: %v", h)
		}
		if n := w.said(`msg="provider discovered"`); n != 1 {
			t.Errorf("the provider was found %d times", n)
		}
		time.Sleep(50 * time.Second)
		if n := w.refreshes(); n != 1 {
			t.Errorf("%d refreshes by the sweep", n)
		}
	})
}

// Five hundred reloads leave no goroutine, no file and no memory behind. It runs beside
// no other test, whose goroutines would be counted.
func TestManyReloads(t *testing.T) {
	inFakeTime(t, options{life: time.Minute}, func(w *world) {
		b := w.login("ada")
		reloads := func(n int) {
			t.Helper()
			for range n {
				for _, to := range []string{newHeader, oldHeader} {
					if err := w.reload(oldHeader, to); err != nil {
						t.Fatal(err)
					}
					b.Fetch("/").Bearer(t)
				}
				time.Sleep(time.Second)
			}
		}
		held := func() (goroutines, files int, heap uint64) {
			synctest.Wait()
			runtime.GC()
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			open, err := os.ReadDir("/proc/self/fd")
			if err != nil {
				t.Fatal(err)
			}
			return runtime.NumGoroutine(), len(open), m.HeapAlloc
		}
		reloads(10)
		g, f, h := held()
		reloads(250)
		g2, f2, h2 := held()
		t.Logf("goroutines %d, then %d; files %d, then %d; heap %d, then %d", g, g2, f, f2, h, h2)
		if g2 > g || f2 > f || h2 > h+4<<20 {
			t.Errorf("goroutines %d, then %d; files %d, then %d; heap %d, then %d", g, g2, f, f2, h, h2)
		}
		w.once()
	})
}
