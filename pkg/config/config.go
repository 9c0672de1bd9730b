package config

// Config is the whole configuration. A Config from Load or Parse is complete and
// consistent; it is a plain value with no secret in it, only names of files.
type Config struct {
	Listen      Listen   `yaml:"listen" jsonschema_description:"Where lamplighter listens."`
	ExternalURL string   `yaml:"external_url" jsonschema:"required,example=https://app.example.com" jsonschema_description:"Origin under which browsers see the app: scheme, host, port; no path. http only on localhost."`
	Provider    Provider `yaml:"provider" jsonschema:"required" jsonschema_description:"The OpenID Provider."`
	Session     Session  `yaml:"session" jsonschema:"required" jsonschema_description:"Browser sessions."`
	Store       Store    `yaml:"store" jsonschema:"required,example={bolt: {path: /var/lib/lamplighter/sessions.db}}" jsonschema_description:"The store of record; exactly one."`
	Refresh     Refresh  `yaml:"refresh" jsonschema_description:"When and how tokens are refreshed."`
	Sweep       Sweep    `yaml:"sweep" jsonschema_description:"Refreshing ahead of requests."`
	App         string   `yaml:"app" jsonschema:"default=default" jsonschema_description:"Name of the app. Apps that share a Redis need one each: with the same they serve, and refresh, each other's sessions."`
	PathPrefix  string   `yaml:"path_prefix" jsonschema:"default=/auth/" jsonschema_description:"Prefix of lamplighter's own paths (login, callback, logout, session)."`
	Rules       []Rule   `yaml:"rules" jsonschema_description:"What paths need; the first match decides, else session: required and bearer: strip."`
	Headers     Headers  `yaml:"headers" jsonschema_description:"Identity headers sent upstream; one without a name is not sent."`
	Cache       Cache    `yaml:"cache" jsonschema_description:"The read cache in front of the store."`
	Log         Log      `yaml:"log" jsonschema_description:"Logging."`
}

// Listen holds the listeners. See SplitAddress for Check.
type Listen struct {
	Check   string     `yaml:"check" jsonschema:"default=unix:///run/lamplighter/check.sock,example=127.0.0.1:9191" jsonschema_description:"Where Envoy calls: unix:///path or host:port."`
	TLS     *ListenTLS `yaml:"tls" jsonschema:"example={cert_file: /etc/lamplighter/tls/tls.crt, key_file: /etc/lamplighter/tls/tls.key}" jsonschema_description:"TLS on check, where that is host:port; without it whoever is on the network between reads cookies and tokens."`
	Admin   string     `yaml:"admin" jsonschema:"default=127.0.0.1:9192" jsonschema_description:"Metrics, health, and sessions, to be looked at and ended: host:port."`
	Metrics string     `yaml:"metrics" jsonschema:"example=0.0.0.0:9193" jsonschema_description:"Metrics and health alone, for a scraper elsewhere: host:port; empty: only at admin."`
}

// ListenTLS names PEM files, read anew when they change.
type ListenTLS struct {
	CertFile string `yaml:"cert_file" jsonschema:"required,example=/etc/lamplighter/tls/tls.crt" jsonschema_description:"Our certificate, and what leads to its issuer."`
	KeyFile  string `yaml:"key_file" jsonschema:"required,example=/etc/lamplighter/tls/tls.key" jsonschema_description:"The key of our certificate."`
}

// Provider is the OpenID Provider and our registration there.
type Provider struct {
	Issuer              string            `yaml:"issuer" jsonschema:"required,example=https://id.example.com" jsonschema_description:"Issuer identifier, exactly as the provider writes it. http only on localhost."`
	ClientID            string            `yaml:"client_id" jsonschema:"required,example=my-app" jsonschema_description:"Our client_id at the provider."`
	ClientSecretFile    string            `yaml:"client_secret_file" jsonschema:"example=/etc/lamplighter/client-secret" jsonschema_description:"File with the client secret; without it the client is a public one."`
	AuthStyle           AuthStyle         `yaml:"auth_style" jsonschema:"default=client_secret_basic,enum=client_secret_basic,enum=client_secret_post" jsonschema_description:"How the client secret is sent to the token endpoint."`
	Scopes              []string          `yaml:"scopes" jsonschema:"default=openid,default=offline_access,uniqueItems=true" jsonschema_description:"Scopes asked for; openid must be among them."`
	AuthorizationParams map[string]string `yaml:"authorization_params" jsonschema_description:"Further parameters of the authorization request, such as prompt, audience or access_type; none that lamplighter sets itself."`
	Profile             string            `yaml:"profile" jsonschema:"default=generic,enum=generic,enum=keycloak,enum=entra,enum=okta,enum=auth0,enum=google,enum=cognito,enum=hydra,enum=dex,enum=zitadel,enum=oidc-provider" jsonschema_description:"What to expect of this provider when it refreshes."`
	Replay              string            `yaml:"replay" jsonschema:"enum=now,enum=late,enum=never" jsonschema_description:"What to do about a refresh whose answer was lost, if not what the profile says: ask again now, ask again late, or never (the session then ends with its access token)."`
}

// AuthStyle is a token_endpoint_auth_method of OpenID Connect Core section 9.
type AuthStyle string

// The values of provider.auth_style.
const (
	ClientSecretBasic AuthStyle = "client_secret_basic"
	ClientSecretPost  AuthStyle = "client_secret_post"
)

// Session holds the cookie and the life of a session.
type Session struct {
	Cookie   Cookie   `yaml:"cookie" jsonschema_description:"The session cookie."`
	Idle     Duration `yaml:"idle" jsonschema:"default=1h,minimum=1s,maximum=2160h" jsonschema_description:"A session unused for this long ends."`
	Absolute Duration `yaml:"absolute" jsonschema:"default=8h,minimum=1s,maximum=9600h" jsonschema_description:"A session ends this long after login."`
	KeysFile string   `yaml:"keys_file" jsonschema:"required,example=/etc/lamplighter/keys" jsonschema_description:"File with the sealing keys, one id:base64(32 bytes) a line; the first seals, all open."`
}

// Cookie names the session cookie.
type Cookie struct {
	Name   string `yaml:"name" jsonschema:"default=__Host-bff_session" jsonschema_description:"Starts with __Host-, or with __Secure- when there is a domain."`
	Domain string `yaml:"domain" jsonschema_description:"Domain attribute; empty: this host only."`
}

// Store has exactly one member.
type Store struct {
	Bolt   *Bolt   `yaml:"bolt" jsonschema_description:"Embedded store, for one process."`
	Redis  *Redis  `yaml:"redis" jsonschema_description:"A Redis or Valkey that all replicas share."`
	Memory *Memory `yaml:"memory" jsonschema_description:"Nothing survives a restart; for development."`
}

// Bolt is the embedded store.
type Bolt struct {
	Path string `yaml:"path" jsonschema:"required,example=/var/lib/lamplighter/sessions.db" jsonschema_description:"The store file; its directory must exist."`
}

// Redis is the store of many replicas: one server, a Cluster, or a master set
// behind Sentinels.
type Redis struct {
	Addresses            []string  `yaml:"addresses" jsonschema:"required,uniqueItems=true,example=redis:6379" jsonschema_description:"host:port of the server, of some nodes of a Cluster, or of the Sentinels."`
	SentinelMaster       string    `yaml:"sentinel_master" jsonschema:"example=mymaster" jsonschema_description:"Name of the master set; the addresses are then those of the Sentinels."`
	Username             string    `yaml:"username" jsonschema_description:"ACL user; empty: the server's default user."`
	UsernameFile         string    `yaml:"username_file" jsonschema:"example=/etc/lamplighter/redis-username" jsonschema_description:"File with the ACL user, in place of username, read anew for every connection."`
	PasswordFile         string    `yaml:"password_file" jsonschema:"example=/etc/lamplighter/redis-password" jsonschema_description:"File with the password, read anew for every connection."`
	SentinelUsername     string    `yaml:"sentinel_username" jsonschema_description:"ACL user of the Sentinels; empty: their default user."`
	SentinelUsernameFile string    `yaml:"sentinel_username_file" jsonschema:"example=/etc/lamplighter/sentinel-username" jsonschema_description:"File with the ACL user of the Sentinels, in place of sentinel_username, read anew for every connection."`
	SentinelPasswordFile string    `yaml:"sentinel_password_file" jsonschema_description:"File with the password of the Sentinels, if they have one, read anew for every connection."`
	TLS                  *RedisTLS `yaml:"tls" jsonschema_description:"TLS to the server; tls: {} trusts what the system trusts."`
	Prefix               string    `yaml:"prefix" jsonschema:"default=lamplighter" jsonschema_description:"Start of every key, before the name of the app."`
	MaxStale             Duration  `yaml:"max_stale" jsonschema:"default=10s,minimum=1s,maximum=5m" jsonschema_description:"How long cached sessions are served when the server is not heard; then the answer is 503."`
}

// RedisTLS names PEM files.
type RedisTLS struct {
	CAFile     string `yaml:"ca_file" jsonschema_description:"Certificates to trust instead of the system's."`
	CertFile   string `yaml:"cert_file" jsonschema_description:"Our certificate, with key_file."`
	KeyFile    string `yaml:"key_file" jsonschema_description:"The key of our certificate."`
	ServerName string `yaml:"server_name" jsonschema_description:"Name in the server's certificate, if not the host."`
}

// Memory is the store without a file.
type Memory struct{}

// Refresh sets window, waiting and budget of one refresh.
type Refresh struct {
	TokenRefreshThreshold Duration `yaml:"token_refresh_threshold" jsonschema:"default=300s,minimum=1s,maximum=24h" jsonschema_description:"A token is due this long before it expires, at most a third of its life."`
	Jitter                Duration `yaml:"jitter" jsonschema:"default=30ms,minimum=0s,maximum=5s" jsonschema_description:"Upper bound of the random delay before a refresh."`
	OnDue                 OnDue    `yaml:"on_due" jsonschema:"default=background,enum=background,enum=wait" jsonschema_description:"What a request with a due token does: take the current one, or wait for the new one."`
	MaxWait               Duration `yaml:"max_wait" jsonschema:"default=3s,minimum=10ms,maximum=5m" jsonschema_description:"Longest wait of a request for a refresh; at most deadline."`
	Deadline              Duration `yaml:"deadline" jsonschema:"default=10s,minimum=100ms,maximum=5m" jsonschema_description:"Budget of one refresh, queueing excluded."`
	Lease                 Duration `yaml:"lease" jsonschema:"default=3s,minimum=100ms,maximum=5m" jsonschema_description:"How long a refresh is held before another owner may look at it."`
}

// OnDue is what a request does whose token is due but still valid.
type OnDue string

// The values of refresh.on_due.
const (
	DueBackground OnDue = "background"
	DueWait       OnDue = "wait"
)

// Sweep sets the pace of refreshes nobody waits for.
type Sweep struct {
	Enabled       bool     `yaml:"enabled" jsonschema:"default=true" jsonschema_description:"Whether to refresh ahead of requests."`
	CheckInterval Duration `yaml:"check_interval" jsonschema:"default=300s,minimum=100ms,maximum=1h" jsonschema_description:"Longest time between two looks at what is due."`
	ActiveWithin  Duration `yaml:"active_within" jsonschema:"default=30m,minimum=1s,maximum=2160h" jsonschema_description:"Only sessions used within this time are swept."`
	Rate          int      `yaml:"rate" jsonschema:"default=300,minimum=1,maximum=100000" jsonschema_description:"Refreshes started a second, at most."`
	MaxInFlight   int      `yaml:"max_in_flight" jsonschema:"default=48,minimum=1,maximum=10000" jsonschema_description:"Refreshes at the provider at once, at most."`
}

// Rule says what requests under one path need.
type Rule struct {
	Match   Match      `yaml:"match" jsonschema:"required" jsonschema_description:"Which requests."`
	Session Need       `yaml:"session" jsonschema:"default=required,enum=required,enum=none" jsonschema_description:"Whether a session is needed."`
	Bearer  BearerMode `yaml:"bearer" jsonschema:"default=strip,enum=strip,enum=reject,enum=pass" jsonschema_description:"What happens to an Authorization header of the client."`
}

// Match selects requests by path, in whole segments: /a matches /a and /a/b, not /ab.
type Match struct {
	PathPrefix string `yaml:"path_prefix" jsonschema:"required,example=/public/" jsonschema_description:"Start of the path, in whole segments."`
}

// Need tells whether a rule demands a session.
type Need string

// The values of rules[].session.
const (
	SessionRequired Need = "required"
	SessionNone     Need = "none"
)

// BearerMode is what a rule does with an Authorization header of the client.
type BearerMode string

// The values of rules[].bearer.
const (
	BearerStrip  BearerMode = "strip"
	BearerReject BearerMode = "reject"
	BearerPass   BearerMode = "pass"
)

// Headers names the identity headers that upstreams get. An empty name means
// that the header is not sent. No two names are the same, also not when "_" and
// "." are read as "-".
type Headers struct {
	UserID    string            `yaml:"user_id" jsonschema:"example=X-User-ID" jsonschema_description:"Header for the subject (sub)."`
	Email     string            `yaml:"email" jsonschema:"example=X-User-Email" jsonschema_description:"Header for the email claim."`
	Name      string            `yaml:"name" jsonschema:"example=X-User-Name" jsonschema_description:"Header for the name claim."`
	AuthTime  string            `yaml:"auth_time" jsonschema:"example=X-Auth-Time" jsonschema_description:"Header for the time the user really signed in (auth_time)."`
	SessionID string            `yaml:"session_id" jsonschema:"example=X-Session-ID" jsonschema_description:"Header for a keyed hash of the session."`
	Claims    map[string]string `yaml:"claims" jsonschema_description:"Further claims, each with its header."`
}

// Cache bounds the read cache.
type Cache struct {
	MaxBytes Bytes    `yaml:"max_bytes" jsonschema:"default=64MiB,minimum=1MiB,maximum=1024GiB" jsonschema_description:"Memory for cached sessions."`
	TTL      Duration `yaml:"ttl" jsonschema:"default=60s,minimum=1s,maximum=1h" jsonschema_description:"Longest life of a cached session."`
}

// Log sets the logging. Level is a name that slog.Level.UnmarshalText knows.
type Log struct {
	Level string `yaml:"level" jsonschema:"default=info,enum=debug,enum=info,enum=warn,enum=error" jsonschema_description:"Least severe level that is logged."`
}
