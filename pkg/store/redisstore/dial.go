package redisstore

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/redis/rueidis"
)

// dial connects to a server, or to a Sentinel: the client asks one function for the
// credentials of both, and only the connection's address can tell it which it is.
func dial(ctx context.Context, address string, d *net.Dialer, secured func() (*tls.Config, error), sentinel bool) (conn net.Conn, err error) {
	if secured == nil {
		conn, err = d.DialContext(ctx, "tcp", address)
	} else if c, readErr := secured(); readErr != nil {
		return nil, fmt.Errorf("secure connection to redis: %w", readErr)
	} else {
		conn, err = (&tls.Dialer{NetDialer: d, Config: c}).DialContext(ctx, "tcp", address)
	}
	if err == nil && sentinel {
		conn = sentinelConn{conn}
	}
	return conn, err
}

type sentinelConn struct{ net.Conn }

type sentinelAddr struct{ net.Addr }

// RemoteAddr implements net.Conn.
func (c sentinelConn) RemoteAddr() net.Addr { return sentinelAddr{c.Conn.RemoteAddr()} }

// User of an ACL; the zero value is the server's default user without a password.
type User struct {
	Name string
	// NameFile, if set, has the name, and PasswordFile the password. Both are read for
	// every connection anew.
	NameFile, PasswordFile string
}

func (u User) credentials() (c rueidis.AuthCredentials, err error) {
	c.Username = u.Name
	if u.NameFile != "" {
		if c.Username, err = line(u.NameFile); err != nil {
			return c, fmt.Errorf("read redis user: %w", err)
		}
	}
	if u.PasswordFile != "" {
		if c.Password, err = line(u.PasswordFile); err != nil {
			return c, fmt.Errorf("read redis password: %w", err)
		}
	}
	return c, nil
}

// line is a file's one line.
func line(path string) (string, error) {
	b, err := os.ReadFile(path)
	return strings.TrimRight(string(b), "\r\n"), err
}
