package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/lamplighter/lamplighter/pkg/config"
	"golang.org/x/sys/unix"
)

// socketMode lets Envoy in by group: it runs under another user id.
const socketMode = 0o660

// binder binds the addresses of a config.
type binder struct {
	// shared: another process may come to serve the same sessions, and take over.
	shared bool
	// takeOver: another process may be there, and this one takes its place.
	takeOver bool
}

// place is an address of the config file, with its key.
type place struct{ key, address string }

// all binds all places, or none. The first, which alone can be a socket, is the last to
// be bound: the process whose socket is replaced cannot get its place back.
func (b binder) all(places []place) ([]net.Listener, error) {
	bound := make([]net.Listener, len(places))
	for i := len(places) - 1; i >= 0; i-- {
		l, err := b.listen(places[i].key, places[i].address)
		if err != nil {
			for _, before := range bound[i+1:] {
				err = errors.Join(err, before.Close())
			}
			return nil, err
		}
		bound[i] = l
	}
	return bound, nil
}

// listen binds addr, "unix:///path" or "host:port"; key is its name in the
// config file, for the error that says what to change.
func (b binder) listen(key, addr string) (net.Listener, error) {
	network, where := config.SplitAddress(addr)
	if network == "unix" {
		return b.listenUnix(key, where)
	}
	l, err := b.listenTCP(where)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listen on %s: another process has this port; stop it%s, or set %s to a free one", where, b.hint(), key)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s (%s): %w", where, key, err)
	}
	return l, nil
}

// hint is what else can be done about a process that is there.
func (b binder) hint() string {
	if b.shared && !b.takeOver {
		return ", take its place with --take-over"
	}
	return ""
}

// listenTCP shares the port with a later process that takes over (SO_REUSEPORT), but
// with none by accident: hence the first try, without.
func (b binder) listenTCP(where string) (net.Listener, error) {
	if !b.takeOver {
		l, err := net.Listen("tcp", where)
		if err != nil || !b.shared {
			return l, err
		}
		where = l.Addr().String() // of port 0, the one that it has become
		if err := l.Close(); err != nil {
			return nil, err
		}
	}
	c := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		return errors.Join(err, failed)
	}}
	return c.Listen(context.Background(), "tcp", where)
}

// listenUnix puts a new socket in the place of what is there at once: whoever connects
// meets the old process or this one.
func (b binder) listenUnix(key, path string) (net.Listener, error) {
	if err := b.replaceable(path); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	fresh := path + "." + rand.Text()[:6] // nobody else's: two may come at once
	if len(fresh) > config.MaxSocketPath {
		fresh = filepath.Join(filepath.Dir(path), rand.Text()[:4])
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: fresh, Net: "unix"})
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("listen on %s: folder %s does not exist; create it, writable for this user, or change %s", path, filepath.Dir(path), key)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s (%s): %w", path, key, err)
	}
	l.SetUnlinkOnClose(false) // what is at the path by then may be another's
	if err := errors.Join(os.Chmod(fresh, socketMode), os.Rename(fresh, path)); err != nil {
		_ = os.Remove(fresh)
		return nil, errors.Join(fmt.Errorf("open socket %s to its group: %w", path, err), l.Close())
	}
	return l, nil
}

// replaceable refuses a path where something else than a socket is, or one that
// answers: it belongs to a live process, whose place must be taken by intent.
func (b binder) replaceable(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return nil // nothing there, or ListenUnix tells better
	}
	if info.Mode().Type() != os.ModeSocket {
		return errors.New("the path holds something else than a socket; change listen.check")
	}
	if b.takeOver {
		return nil
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	switch {
	case err == nil:
		_ = c.Close()
	case !errors.Is(err, syscall.EAGAIN): // that is one with a full queue
		return nil
	}
	return fmt.Errorf("another process answers there; stop it%s, or change listen.check", b.hint())
}
