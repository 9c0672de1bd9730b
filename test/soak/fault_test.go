//go:build soak

package soak

import (
	"encoding/json"
	"math/rand/v2"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
	"github.com/lamplighter/lamplighter/test/op"
)

const (
	tokenLife = 12 * time.Second
	// mostDelay of a token request that is answered in the end.
	mostDelay = 2 * time.Second
	// shortLife is the least that an answer says of a token, in place of tokenLife.
	shortLife = 10 * time.Second
)

// kind is one way in which a refresh goes wrong.
type kind struct {
	name string
	// perMille of all refresh requests.
	perMille int
	fault    func(r *rand.Rand) op.Fault
	// ends is how the session ends if the provider has taken the refresh token
	// and forgives nothing; empty: it must live.
	ends session.Reason
	// endsForgiven is the same at a provider that takes a spent token again.
	endsForgiven session.Reason
	// doubts: the answer does not tell whether the token was taken.
	doubts bool
	// refuses: past its expiry the session is told to log in, though it lives.
	refuses bool
	// life: the answer is wrong about the life of its token.
	life bool
}

func always(f op.Fault) func(*rand.Rand) op.Fault { return func(*rand.Rand) op.Fault { return f } }

func oneOf[T any](r *rand.Rand, all ...T) T { return all[r.IntN(len(all))] }

func raw(text string) json.RawMessage { return json.RawMessage(text) }

// later is a refusal that asks to come back. One in twenty names a time: each of
// those stops every refresh at this provider for a second, and of 300 refreshes
// a second two in a hundred would stop them for good.
func later(status int) func(*rand.Rand) op.Fault {
	return func(r *rand.Rand) op.Fault {
		value := oneOf(r, "0", "-1", "soon", "Fri, 31 Dec 1999 23:59:59 GMT", "1.5")
		if r.IntN(20) == 0 {
			value = "1"
		}
		return op.Fault{Status: status, Header: map[string]string{"Retry-After": value}}
	}
}

// kinds are one in a hundred each; drips are, together.
func kinds() []kind {
	lost := session.ReasonLostAnswer
	return []kind{
		{name: "delay", perMille: 10, fault: always(op.Fault{Delay: op.Duration(50 * time.Millisecond), DelayMax: op.Duration(mostDelay)})},
		{name: "cut before", perMille: 10, doubts: true, fault: always(op.Fault{CutBefore: true})},
		{name: "503", perMille: 10, fault: later(503)},
		{name: "429", perMille: 10, fault: later(429)},
		{name: "500", perMille: 10, doubts: true, fault: always(op.Fault{Status: 500, Body: `{"error":"server_error"}`})},
		{name: "502", perMille: 10, doubts: true, fault: always(op.Fault{Status: 502, Body: "<html>bad gateway</html>"})},
		{name: "redirect", perMille: 10, doubts: true, fault: always(op.Fault{Status: 307, Header: map[string]string{"Location": "/login"}})},
		{name: "busy", perMille: 10, fault: always(op.Fault{Status: 400, Body: `{"error":"temporarily_unavailable"}`})},
		{name: "invalid_client", perMille: 10, fault: always(op.Fault{Status: 401, Body: `{"error":"invalid_client"}`})},
		{name: "refused", perMille: 10, refuses: true, fault: func(r *rand.Rand) op.Fault {
			return op.Fault{Status: oneOf(r, 400, 403), Body: oneOf(r, `{"error":"invalid_scope"}`, `{"error":"invalid_request"}`, "<html>blocked</html>", "")}
		}},
		{name: "garbage before", perMille: 10, doubts: true, fault: func(r *rand.Rand) op.Fault {
			return op.Fault{Status: 200, Body: oneOf(r, "<html>maintenance</html>", "", `{"access_token":"x"`, `{}`, `{"access_token":"x","access_token":"y"}`)}
		}},
		{name: "expires_in", perMille: 10, life: true, fault: func(r *rand.Rand) op.Fault {
			if r.IntN(20) == 0 {
				return op.Fault{Edit: &op.Edit{Drop: []string{"expires_in"}}} // five minutes without a refresh
			}
			return op.Fault{Edit: &op.Edit{Set: map[string]json.RawMessage{"expires_in": raw(oneOf(r, `"12"`, "12.9", "1.2e1", "10", "20"))}}}
		}},
		{name: "unknown key", perMille: 10, fault: always(op.Fault{Edit: &op.Edit{IDToken: &op.IDTokenEdit{UnknownKey: true}}})},
		{name: "drip", perMille: 5, fault: always(op.Fault{Drip: op.Duration(100 * time.Microsecond)})},

		// From here on the token is consumed, and its successor does not arrive.
		{name: "drip without end", perMille: 5, ends: lost, fault: always(op.Fault{Drip: op.Duration(time.Minute)})},
		{name: "cut after", perMille: 10, doubts: true, ends: lost, fault: always(op.Fault{CutAfter: true})},
		{name: "garbage after", perMille: 10, ends: lost, fault: always(op.Fault{Edit: &op.Edit{Body: "<html>maintenance</html>"}})},
		{name: "truncated", perMille: 10, ends: lost, fault: always(op.Fault{Edit: &op.Edit{Truncate: 10}})},
		{name: "huge", perMille: 10, ends: lost, fault: always(op.Fault{Pad: 1<<20 + 1})},
		{name: "500 after", perMille: 10, ends: lost, fault: always(op.Fault{Edit: &op.Edit{Status: 500, Body: `{"error":"server_error"}`}})},
		{name: "no refresh_token", perMille: 10, ends: session.ReasonDead, fault: always(op.Fault{Edit: &op.Edit{Drop: []string{"refresh_token"}}})},
		{name: "foreign", perMille: 10, ends: session.ReasonForeign, endsForgiven: session.ReasonForeign, fault: always(op.Fault{Edit: &op.Edit{
			IDToken: &op.IDTokenEdit{Set: map[string]json.RawMessage{"sub": raw(`"u-somebody-else"`)}},
		}})},
	}
}

// choose picks the fault of the n-th token request. What it draws depends on
// seed and n alone.
func choose(all []kind, seed uint64) func(n int, grant string) op.Fault {
	return func(n int, grant string) op.Fault {
		if grant != "refresh_token" {
			return op.Fault{}
		}
		r := rand.New(rand.NewPCG(seed, uint64(n)))
		draw := r.IntN(1000)
		for _, k := range all {
			if draw -= k.perMille; draw < 0 {
				f := k.fault(r)
				f.Name = k.name
				return f
			}
		}
		return op.Fault{}
	}
}
