package app

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/lamplighter/lamplighter/pkg/config"
)

// socketMode lets Envoy in by group: it runs under another user id.
const socketMode = 0o660

// place is an address of the config file, with its key.
type place struct{ key, address string }

// bind binds all places, or none.
func bind(places []place) (bound []net.Listener, err error) {
	for _, p := range places {
		l, err := listen(p.key, p.address)
		if err != nil {
			for _, before := range bound {
				err = errors.Join(err, before.Close())
			}
			return nil, err
		}
		bound = append(bound, l)
	}
	return bound, nil
}

// listen binds addr, "unix:///path" or "host:port"; key is its name in the
// config file, for the error that says what to change.
func listen(key, addr string) (net.Listener, error) {
	network, where := config.SplitAddress(addr)
	if network == "unix" {
		return listenUnix(key, where)
	}
	l, err := net.Listen(network, where)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listen on %s: another process has this port; stop it or set %s to a free one", where, key)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s (%s): %w", where, key, err)
	}
	return l, nil
}

func listenUnix(key, path string) (net.Listener, error) {
	if err := removeStale(path); err != nil {
		return nil, fmt.Errorf("listen on %s: %w; stop it or change %s", path, err, key)
	}
	l, err := net.Listen("unix", path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("listen on %s: folder %s does not exist; create it, writable for this user, or change %s", path, filepath.Dir(path), key)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s (%s): %w", path, key, err)
	}
	if err := os.Chmod(path, socketMode); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("open socket %s to its group: %w", path, err)
	}
	return l, nil
}

// removeStale removes the socket of a process that was killed. A socket that
// answers belongs to a live one, and anything else at the path is not ours.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return nil // nothing there, or Listen tells better
	}
	if info.Mode().Type() != os.ModeSocket {
		return errors.New("the path holds something else than a socket")
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = c.Close()
		return errors.New("another process answers there")
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return os.Remove(path)
	}
	return nil
}
