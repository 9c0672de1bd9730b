package op

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	zop "github.com/zitadel/oidc/v3/pkg/op"
)

// refresh is the library's refresh of a token, step by step, without its router
// and with the id_token as an option: a simulation makes hundreds of thousands.
func (p *Provider) refresh(r *http.Request) *answer {
	ctx := zop.ContextWithIssuer(r.Context(), p.issuer)
	a := newAnswer()
	response, err := p.refreshed(ctx, r)
	if err != nil {
		zop.RequestError(a, r, err, nil)
		return p.storage.deadGrant(a)
	}
	a.header.Set("Content-Type", "application/json")
	a.header.Set("Cache-Control", "no-store") // RFC 6749 section 5.1
	a.WriteHeader(http.StatusOK)
	if err := json.NewEncoder(&a.body).Encode(response); err != nil {
		return serverError()
	}
	return a
}

func (p *Provider) refreshed(ctx context.Context, r *http.Request) (*oidc.AccessTokenResponse, error) {
	asked, err := zop.ParseRefreshTokenRequest(r, p.library.Decoder())
	if err != nil {
		return nil, fmt.Errorf("parse refresh: %w", err)
	}
	request, client, err := zop.ValidateRefreshTokenRequest(ctx, asked, p.library)
	if err != nil {
		return nil, fmt.Errorf("validate refresh: %w", err)
	}
	access, next, _, err := zop.CreateAccessToken(ctx, request, client.AccessTokenType(), p.library, client, asked.RefreshToken)
	if err != nil {
		return nil, fmt.Errorf("issue tokens: %w", err)
	}
	out := &oidc.AccessTokenResponse{
		AccessToken: access, RefreshToken: next, TokenType: oidc.BearerToken, Scope: request.GetScopes(),
	}
	i := issueFrom(ctx)
	if !i.omitLife {
		out.ExpiresIn = uint64(i.life / time.Second)
	}
	if i.noIDToken {
		return out, nil
	}
	out.IDToken, err = zop.CreateIDToken(ctx, p.issuer, request, client.IDTokenLifetime(), access, "", p.storage, client)
	if err != nil {
		return nil, fmt.Errorf("issue id_token: %w", err)
	}
	return out, nil
}
