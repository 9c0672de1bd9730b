package rp

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/lamplighter/lamplighter/pkg/session"
)

// row is the line of the table that decided, first match.
type row string

const (
	rowNotWritten    row = "not written"
	rowNoAnswer      row = "no answer"
	rowContradiction row = "2xx with tokens and an error"

	// What the profile knows, by what it means.
	rowCodeDead            row = "error code: dead"
	rowCodeMisconfigured   row = "error code: misconfigured"
	rowCodeTransient       row = "error code: transient"
	rowStatusMisconfigured row = "status: misconfigured"
	rowStatusTransient     row = "status: transient"
	rowStatusUnknown       row = "status: unknown"

	rowServer     row = "other 5xx"
	rowRedirect   row = "3xx"
	rowRefused    row = "other 4xx"
	rowOdd        row = "no status of RFC 9110"
	rowUnreadable row = "2xx that is not one whole JSON object"
	rowUnusable   row = "2xx without a bearer token"
	rowForeign    row = "tokens of another issuer, subject or client"
	rowRenewed    row = "tokens"
)

// verdict is a classified reply.
type verdict struct {
	class  session.Class
	row    row
	code   string // error of RFC 6749 section 5.2, if fit for a log
	tokens tokens // when Renewed
}

// expected is whose tokens an answer must hold. The zero subject, at login,
// leaves the ID Token to be judged by verify.
type expected struct{ issuer, clientID, subject string }

// classify is the one table HTTP → Class, first match. An error code decides
// before the status does, also in a 2xx; in one that holds an access token as
// well, nothing can be believed, and an error code that the profile does not
// know is a 2xx without a token. A 4xx whose body did not arrive is still the
// OP's refusal; a 2xx is not its consent.
func classify(p session.Profile, r reply, want expected) verdict {
	if !r.sent {
		return verdict{class: session.Transient, row: rowNotWritten}
	}
	if r.status == 0 {
		return verdict{class: session.Unknown, row: rowNoAnswer}
	}
	body, readable := members(r)
	code := body.text("error")
	success := r.status/100 == 2
	in := func(class session.Class, row row) verdict {
		return verdict{class: class, row: row, code: printable(code)}
	}
	switch {
	case success && code != "" && body.text("access_token") != "":
		return in(session.Unknown, rowContradiction)
	case p.Codes[code] != 0:
		class := p.Codes[code]
		return in(class, row("error code: "+class.String()))
	case p.Statuses[r.status] != 0:
		class := p.Statuses[r.status]
		return in(class, row("status: "+class.String()))
	case r.status/100 == 5:
		return in(session.Unknown, rowServer)
	case r.status/100 == 3:
		return in(session.Unknown, rowRedirect)
	case r.status/100 == 4:
		return in(session.Refused, rowRefused)
	case !success:
		return in(session.Unknown, rowOdd)
	case !readable:
		return in(session.Unknown, rowUnreadable)
	}
	t, ok := body.tokens()
	switch {
	case !ok:
		return in(session.Unknown, rowUnusable)
	case want.subject != "" && foreign(t.id, want):
		return in(session.Foreign, rowForeign)
	}
	return verdict{class: session.Renewed, row: rowRenewed, tokens: t}
}

// foreign compares the claims that say whose tokens these are, whether or not
// the signature can be checked now: the token endpoint's certificate vouches for
// the access token beside it, which would go out in the wrong user's name.
func foreign(id session.IDToken, want expected) bool {
	if id.IsZero() {
		return false
	}
	parsed, err := jwt.ParseSigned(id.Reveal(), asymmetric())
	if err != nil {
		return false // says nothing; verify will not accept it either
	}
	var c jwt.Claims
	if err := parsed.UnsafeClaimsWithoutVerification(&c); err != nil {
		return false
	}
	// One large provider leaves the scheme out of its iss; go-oidc knows it too.
	sameIssuer := c.Issuer == want.issuer || "https://"+c.Issuer == want.issuer
	return !sameIssuer || c.Subject != want.subject || !slices.Contains(c.Audience, want.clientID)
}

// asymmetric are the algorithms an ID Token may be signed with: never none, and
// never HS*, whose key would be the client secret.
func asymmetric() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
		jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
	}
}

// printable lets an error code into a log only if it looks like one. The code is
// the OP's text, and so could be an echo of the token.
func printable(code string) string {
	if len(code) > 40 || strings.ContainsFunc(code, func(c rune) bool { return c != '_' && (c < 'a' || c > 'z') }) {
		return "not a code"
	}
	return code
}

// problem says what happened, for an operator.
func (v verdict) problem(r reply) error {
	switch {
	case v.row == rowNotWritten, v.row == rowNoAnswer:
		return fmt.Errorf("token request: %w", r.err)
	case v.code != "":
		return fmt.Errorf("token endpoint answered %d %s", r.status, v.code)
	case r.err != nil:
		return fmt.Errorf("token endpoint answered %d, %s: %w", r.status, v.row, r.err)
	case v.row == rowForeign, v.row == rowUnreadable, v.row == rowUnusable:
		return fmt.Errorf("token endpoint answered %d, %s", r.status, v.row)
	}
	return errors.New(fmt.Sprint("token endpoint answered ", r.status))
}
