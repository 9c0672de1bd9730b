package admin

import "github.com/lamplighter/lamplighter/pkg/session"

// Why is a reason as a sentence: what an operator tells who asks why he was
// logged out.
func Why(r session.Reason) string {
	switch r {
	case session.ReasonLogout:
		return "the user logged out"
	case session.ReasonIdle:
		return "nobody used it for as long as session.idle allows"
	case session.ReasonAbsolute:
		return "it reached the age that session.absolute allows"
	case session.ReasonDead:
		return "the provider refused the refresh token"
	case session.ReasonLostAnswer:
		return "the provider's answer to a refresh was lost, and the provider refused the repetition"
	case session.ReasonInDoubt:
		return "the provider's answer to a refresh was lost, and provider.replay forbids to ask again"
	case session.ReasonForeign:
		return "the provider answered a refresh with the tokens of somebody else"
	case session.ReasonRevoked:
		return "an operator ended it"
	default:
		return "lamplighter gives no other reason"
	}
}

// trouble says what a failed refresh means to a session that lives on, and what
// to do.
func trouble(c session.Class) string {
	switch c {
	case session.Transient:
		return "the provider could not be asked, or asked to come back later; nothing is lost"
	case session.Unknown:
		return "the answer of the provider to a refresh was lost, so that the refresh token may be spent; asking again now could end the session"
	case session.Dead:
		return "the provider refused to repeat a refresh whose answer was lost; the session is kept for as long as its access token lives, should the lost answer turn up"
	case session.Misconfigured:
		return "the provider refuses lamplighter, not the user; look at provider.client_id and the client secret"
	case session.Refused:
		return "the provider refuses this request; the log says with which words"
	default:
		return "no new token was to be had; the log says more"
	}
}
