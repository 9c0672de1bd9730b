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
func dial(ctx context.Context, address string, d *net.Dialer, secured *tls.Config, sentinel bool) (conn net.Conn, err error) {
	if secured != nil {
		conn, err = (&tls.Dialer{NetDialer: d, Config: secured}).DialContext(ctx, "tcp", address)
	} else {
		conn, err = d.DialContext(ctx, "tcp", address)
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

func credentials(username, passwordFile string) (rueidis.AuthCredentials, error) {
	if passwordFile == "" {
		return rueidis.AuthCredentials{Username: username}, nil
	}
	password, err := os.ReadFile(passwordFile)
	if err != nil {
		return rueidis.AuthCredentials{}, fmt.Errorf("read redis password: %w", err)
	}
	return rueidis.AuthCredentials{Username: username, Password: strings.TrimRight(string(password), "\r\n")}, nil
}
