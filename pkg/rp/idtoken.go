package rp

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// skew is how far the OP's clock may be from ours.
const skew = 5 * time.Minute

// login is what an ID Token must answer to. The zero value is a refresh, where
// OIDC Core section 12.2 asks for neither nonce nor a recent iat.
type login struct {
	nonce session.Secret
	began time.Time
}

// verify checks t's ID Token whole: go-oidc the signature, iss, aud, exp and
// nbf, and the rest of OIDC Core section 3.1.3.7 here. Its errors hold no claim
// of the user.
func (p *RP) verify(ctx context.Context, op *provider, t tokens, at login) (session.Identity, error) {
	if t.id.IsZero() {
		return session.Identity{}, errors.New("verify id_token: there is none")
	}
	if err := checkType(t.id); err != nil {
		return session.Identity{}, fmt.Errorf("verify id_token: %w", err)
	}
	id, err := op.verifier.Verify(ctx, t.id.Reveal())
	if err != nil {
		return session.Identity{}, fmt.Errorf("verify id_token: %s", brief(err.Error()))
	}
	var claims object
	if err := id.Claims(&claims); err != nil {
		return session.Identity{}, errors.New("verify id_token: claims are not an object")
	}
	if err := p.checkClaims(id, claims, t, at); err != nil {
		return session.Identity{}, fmt.Errorf("verify id_token: %w", err)
	}
	return p.identity(id.Subject, claims), nil
}

func (p *RP) checkClaims(id *oidc.IDToken, claims object, t tokens, at login) error {
	azp, now := claims.text("azp"), time.Now()
	switch {
	case id.Subject == "" || len(id.Subject) > 255 || strings.ContainsFunc(id.Subject, unicode.IsControl):
		return errors.New("sub is empty, too long or unprintable")
	case id.IssuedAt.IsZero() || id.IssuedAt.Unix() <= 0:
		return errors.New("iat is missing")
	case id.IssuedAt.After(now.Add(skew)):
		return errors.New("iat is in the future: check the clocks")
	case !at.began.IsZero() && id.IssuedAt.Before(at.began.Add(-skew)):
		return errors.New("iat is before the login began: check the clocks")
	case azp != "" && azp != p.opts.ClientID:
		return errors.New("azp is another client")
	case azp == "" && slices.ContainsFunc(id.Audience, func(aud string) bool { return aud != p.opts.ClientID }):
		// With azp, the OP says that the token was made for us and others may read it.
		return errors.New("aud names others beside us, and azp is missing")
	case !at.nonce.IsZero() && !at.nonce.Equal(session.NewSecret(id.Nonce)):
		return errors.New("nonce differs")
	case id.AccessTokenHash != "" && id.VerifyAccessToken(t.access.Reveal()) != nil:
		return errors.New("at_hash does not match the access token")
	}
	return nil
}

// checkType keeps a JWT of another kind, signed with the same key, from passing
// for an ID Token (RFC 8725 section 3.11): at+jwt, logout+jwt.
func checkType(t session.IDToken) error {
	head, _, _ := strings.Cut(t.Reveal(), ".")
	raw, err := base64.RawURLEncoding.DecodeString(head)
	var header object
	if err != nil || json.Unmarshal(raw, &header) != nil {
		return errors.New("is not a JWT")
	}
	if strings.HasSuffix(strings.ToLower(header.text("typ")), "+jwt") {
		return errors.New("typ is another kind of token")
	}
	return nil
}

func (p *RP) identity(subject string, claims object) session.Identity {
	who := session.Identity{
		Subject: subject,
		SID:     claims.text("sid"),
		Email:   claims.printable("email"),
		Name:    claims.printable("name"),
	}
	if at, err := strconv.ParseFloat(string(claims["auth_time"]), 64); err == nil && at > 0 && at < math.MaxInt32*1e3 {
		who.AuthTime = time.Unix(int64(at), 0)
	}
	for _, name := range p.opts.Claims {
		if value := flat(claims[name]); value != "" {
			if who.Claims == nil {
				who.Claims = make(map[string]string)
			}
			who.Claims[name] = value
		}
	}
	return who
}

// printable is a text member that may become a header value, or empty.
func (o object) printable(name string) string {
	if s := o.text(name); !strings.ContainsFunc(s, unicode.IsControl) {
		return s
	}
	return ""
}

// flat makes a header value of a claim: a text, number or boolean as it is, a
// list of those joined by commas, anything else empty. An element that holds a
// comma is left out: upstream would read it as two, and it may name a group.
func flat(raw json.RawMessage) string {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return scalar(raw)
	}
	var parts []string
	for _, element := range list {
		if s := scalar(element); s != "" && !strings.Contains(s, ",") {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, ",")
}

func scalar(raw json.RawMessage) string {
	text := strings.TrimSpace(string(raw))
	if text == "" || text == "null" || text[0] == '{' || text[0] == '[' {
		return ""
	}
	if text[0] == '"' {
		return object{"": raw}.printable("")
	}
	return text
}
