package op

import "time"

// SetAccessTokenLife sets the life of access tokens issued from now on, in whole
// seconds, rounded up and at least one.
func (p *Provider) SetAccessTokenLife(d time.Duration) {
	p.storage.mu.Lock()
	defer p.storage.mu.Unlock()
	p.storage.life = wholeSeconds(d)
}

// SetOmitExpiresIn leaves expires_in out of token answers from now on.
func (p *Provider) SetOmitExpiresIn(omit bool) {
	p.storage.mu.Lock()
	defer p.storage.mu.Unlock()
	p.storage.omitExpiresIn = omit
}

// SetIssueRefreshToken decides whether token answers carry a refresh token from
// now on. While they do not, a live refresh token is accepted without being
// consumed: a provider that does not rotate.
func (p *Provider) SetIssueRefreshToken(issue bool) {
	p.storage.mu.Lock()
	defer p.storage.mu.Unlock()
	p.storage.issueRefresh = issue
}

// SetIDTokenOnRefresh decides whether answers to a refresh carry an id_token
// from now on, as they do at first. It costs a signature.
func (p *Provider) SetIDTokenOnRefresh(issue bool) {
	p.storage.mu.Lock()
	defer p.storage.mu.Unlock()
	p.storage.noIDToken = !issue
}

func wholeSeconds(d time.Duration) time.Duration {
	return max(time.Second, (d + time.Second - 1).Truncate(time.Second))
}
