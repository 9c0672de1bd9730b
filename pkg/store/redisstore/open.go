package redisstore

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/lamplighter/lamplighter/pkg/seal"
	"github.com/lamplighter/lamplighter/pkg/store"
	"github.com/redis/rueidis"
)

const (
	dialWithin   = 2 * time.Second
	answerWithin = 5 * time.Second // a connection whose server says nothing for longer is closed
)

// Options of Open.
type Options struct {
	// Addresses are host:port: one server, some nodes of a Cluster, or Sentinels.
	Addresses []string
	// SentinelMaster is the name of the master set; empty: Addresses are not Sentinels.
	SentinelMaster string
	// Username of the server's ACL; empty is its default user.
	Username string
	// PasswordFile is read for every connection anew; empty: no password.
	PasswordFile string
	TLS          *tls.Config // nil: none
	// Prefix of every key: letters, digits, "-", "_", "." and ":".
	Prefix string
	// Owner names this process among the replicas; empty for one that only looks.
	Owner string
	// MaxStale is how long after the last sign of the server what is in memory is
	// still good; see Coherent.
	MaxStale time.Duration
	Keys     *seal.Keyring
	Log      *slog.Logger
}

// Open connects. The error says what the server answered; Close ends it.
func Open(o Options) (*Store, error) {
	lua, err := readScripts()
	if err != nil {
		return nil, err
	}
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: o.Addresses,
		Sentinel:    rueidis.SentinelOption{MasterSet: o.SentinelMaster, TLSConfig: o.TLS},
		TLSConfig:   o.TLS,
		AuthCredentialsFn: func(rueidis.AuthCredentialsContext) (rueidis.AuthCredentials, error) {
			return credentials(o.Username, o.PasswordFile)
		},
		ClientName:       "lamplighter",
		Dialer:           net.Dialer{Timeout: dialWithin, KeepAlive: time.Second},
		ConnWriteTimeout: answerWithin,
		DisableCache:     true, // the read cache is in front of us
		DisableRetry:     true, // whoever asks has a deadline and knows what to do
	})
	if err != nil {
		return nil, fmt.Errorf("connect to redis at %s: %w", strings.Join(o.Addresses, ", "), err)
	}
	return &Store{
		client: client, prefix: o.Prefix, owner: o.Owner, maxStale: o.MaxStale,
		codec: store.NewCodec(o.Keys), log: o.Log, alarm: store.NewAlarm(o.Log), lua: lua,
	}, nil
}

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
