// An OpenID Provider on npm's oidc-provider, for tests. Its only argument is JSON:
// {issuer, clientID, clientSecret, redirectURI, accessTokenSeconds}. It listens on
// a free port of loopback and writes what happens as JSON lines.
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const settings = JSON.parse(process.argv[2]);
const say = (event, fields) => process.stdout.write(JSON.stringify({ event, ...fields }) + '\n');
// The id of an opaque token is the token itself, which no line shows.
const digest = (token) => token && createHash('sha256').update(token.jti).digest('hex').slice(0, 16);

// The built-in adapter forgets the oldest of a thousand entries; this one, none.
class Adapter {
  static entries = new Map();

  constructor(model) { this.model = model; }

  key(id) { return `${this.model}:${id}`; }

  async upsert(id, payload) { Adapter.entries.set(this.key(id), payload); }

  async find(id) { return Adapter.entries.get(this.key(id)); }

  async findByUid(uid) { return this.first((payload) => payload.uid === uid); }

  async findByUserCode(code) { return this.first((payload) => payload.userCode === code); }

  async destroy(id) { Adapter.entries.delete(this.key(id)); }

  async consume(id) { Adapter.entries.get(this.key(id)).consumed = Math.floor(Date.now() / 1000); }

  async revokeByGrantId(grantId) {
    for (const [key, payload] of Adapter.entries) {
      if (key.startsWith(this.key('')) && payload.grantId === grantId) Adapter.entries.delete(key);
    }
  }

  first(matches) {
    for (const [key, payload] of Adapter.entries) {
      if (key.startsWith(this.key('')) && matches(payload)) return payload;
    }
    return undefined;
  }
}

const provider = new Provider(settings.issuer, {
  adapter: Adapter,
  clients: [{
    client_id: settings.clientID,
    client_secret: settings.clientSecret,
    redirect_uris: [settings.redirectURI],
    grant_types: ['authorization_code', 'refresh_token'],
  }],
  cookies: { keys: ['of a test'] },
  features: { devInteractions: { enabled: false } },
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  rotateRefreshToken: true,
  ttl: { AccessToken: settings.accessTokenSeconds, AuthorizationCode: 60, Grant: 86400, IdToken: 3600, Interaction: 600, RefreshToken: 86400, Session: 86400 },
});

provider.on('grant.success', (ctx) => say('grant.success', {
  grant_type: ctx.oidc.params.grant_type,
  user: ctx.oidc.entities.Account?.accountId,
  consumed: digest(ctx.oidc.entities.RotatedRefreshToken),
}));
provider.on('refresh_token.consumed', (token) => say('refresh_token.consumed', { user: token.accountId, consumed: digest(token) }));
provider.on('grant.revoked', (ctx) => say('grant.revoked', { user: ctx.oidc.entities.Account?.accountId }));
for (const event of [
  'authorization.error', 'grant.error', 'userinfo.error', 'end_session.error', 'revocation.error',
  'introspection.error', 'discovery.error', 'jwks.error', 'server_error',
]) {
  provider.on(event, (ctx, err) => say(event, { error: `${err.error ?? err.name}: ${err.error_detail ?? err.error_description ?? err.message}` }));
}

// interact is the login page: any user name will do, and consent goes without saying.
async function interact(req, res) {
  if (req.method === 'GET') {
    res.setHeader('Content-Type', 'text/html');
    res.end('<form method="post"><input name="username"><button>Sign in</button></form>');
    return;
  }
  let body = '';
  for await (const part of req) body += part;
  const accountId = new URLSearchParams(body).get('username');
  const grant = new provider.Grant({ accountId, clientId: settings.clientID });
  grant.addOIDCScope('openid offline_access');
  await provider.interactionFinished(req, res, { login: { accountId }, consent: { grantId: await grant.save() } });
}

const handle = provider.callback();
const server = createServer((req, res) => {
  if (!req.url.startsWith('/interaction/')) {
    handle(req, res);
    return;
  }
  interact(req, res).catch((err) => {
    say('server_error', { error: `${err.name}: ${err.message}` });
    res.writeHead(500).end();
  });
});
server.listen(0, '127.0.0.1', () => say('listening', { address: `127.0.0.1:${server.address().port}` }));
process.on('SIGTERM', () => { server.close(); server.closeAllConnections(); });
