package redisstore

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/lamplighter/lamplighter/pkg/seal"
	"github.com/lamplighter/lamplighter/pkg/store"
	"github.com/redis/rueidis"
)

const (
	dialWithin   = 2 * time.Second
	answerWithin = 5 * time.Second // a connection whose server says nothing for longer is closed
	// lookAround is how often servers are asked who they are: the message that tells of
	// a failover may be lost.
	lookAround = 5 * time.Second
)

// Options of Open.
type Options struct {
	// Addresses are host:port: one server, some nodes of a Cluster, or Sentinels.
	Addresses []string
	// SentinelMaster is the name of the master set; empty: Addresses are not Sentinels.
	SentinelMaster string
	// User of the server, and SentinelUser of the Sentinels, which have their own.
	User, SentinelUser User
	// TLS, if set, is asked for every connection anew.
	TLS func() (*tls.Config, error)
	// Prefix of every key: letters, digits, "-", "_", "." and ":".
	Prefix string
	// Owner names this process among the replicas; empty for one that only looks.
	Owner string
	// MaxStale is how long after the last sign of the server what is in memory is
	// still good; see Coherent.
	MaxStale time.Duration
	Keys     *seal.Keyring
	Log      *slog.Logger
	Metrics  *Metrics // nil: none
}

// Open connects. The error says what the server answered; Close ends it.
func Open(o Options) (*Store, error) {
	lua, err := readScripts()
	if err != nil {
		return nil, err
	}
	if o.Metrics == nil {
		o.Metrics = noMetrics()
	}
	dialer := net.Dialer{Timeout: dialWithin, KeepAlive: time.Second}
	toSentinels := dialer
	toSentinels.Resolver = new(net.Resolver)
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: o.Addresses,
		Sentinel: rueidis.SentinelOption{
			MasterSet: o.SentinelMaster, Dialer: toSentinels, TopologyRefreshInterval: lookAround,
		},
		ClusterOption: rueidis.ClusterOption{ShardsRefreshInterval: lookAround},
		DialCtxFn: func(ctx context.Context, address string, d *net.Dialer, _ *tls.Config) (net.Conn, error) {
			return dial(ctx, address, d, o.TLS, d.Resolver == toSentinels.Resolver)
		},
		AuthCredentialsFn: func(to rueidis.AuthCredentialsContext) (rueidis.AuthCredentials, error) {
			if _, ok := to.Address.(sentinelAddr); ok {
				return o.SentinelUser.credentials()
			}
			return o.User.credentials()
		},
		ClientName:       "lamplighter",
		Dialer:           dialer,
		ConnWriteTimeout: answerWithin,
		DisableCache:     true, // the read cache is in front of us
		DisableRetry:     true, // whoever asks has a deadline and knows what to do
	})
	if err != nil {
		return nil, fmt.Errorf("connect to redis at %s: %w", strings.Join(o.Addresses, ", "), err)
	}
	if err := mayTell(client, o.Prefix); err != nil {
		client.Close()
		return nil, fmt.Errorf("connect to redis at %s: %w", strings.Join(o.Addresses, ", "), err)
	}
	s := &Store{
		client: client, prefix: o.Prefix, owner: o.Owner, maxStale: o.MaxStale,
		codec: store.NewCodec(o.Keys), log: o.Log, alarm: store.NewAlarm(o.Log), lua: lua,
		troubles: troubles{log: o.Log, metrics: o.Metrics, of: make(map[kind]trouble)},
	}
	s.lookForCopies(context.Background()) // what is stored before Run, or without it, must not be lost either
	return s, nil
}

// mayTell refuses a user whose changes other replicas would not hear of: these may hear
// well, by another user, and serve what is over. A server that answers anything else is
// looked at later.
func mayTell(client rueidis.Client, prefix string) error {
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	err := client.Do(ctx, client.B().Publish().Channel(changedChannel(prefix)).Message("").Build()).Error()
	if refused, ok := rueidis.IsRedisErr(err); ok && strings.HasPrefix(refused.Error(), "NOPERM") {
		return fmt.Errorf("its user may not tell other replicas what changes; allow it the channels &%s:*: %w", prefix, err)
	}
	return nil
}
