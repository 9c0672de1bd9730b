package op

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	jose "github.com/go-jose/go-jose/v4"
	zop "github.com/zitadel/oidc/v3/pkg/op"
)

// Edit changes a token answer whose tokens are good: what was presented for it
// is consumed. Its fields are applied in their order.
type Edit struct {
	// IDToken makes another id_token of the one in the answer, if there is one.
	IDToken *IDTokenEdit `json:"id_token,omitempty"`
	// Drop leaves members out, Set puts members in or in place of others. Values
	// are JSON as it is to be sent: `3600.5`, `1e300`, `"3600"`, `true`, `null`.
	Drop []string                   `json:"drop,omitempty"`
	Set  map[string]json.RawMessage `json:"set,omitempty"`
	// Repeat puts members in once more, after all others: duplicate keys.
	Repeat map[string]json.RawMessage `json:"repeat,omitempty"`
	// Truncate takes that many bytes off the end: broken JSON.
	Truncate int `json:"truncate,omitempty"`
	// Body, if not empty, replaces the whole body.
	Body string `json:"body,omitempty"`
	// Status, if not 0, is in place of 200, and Header goes over the header.
	Status int               `json:"status,omitempty"`
	Header map[string]string `json:"header,omitempty"`
}

// IDTokenEdit changes the claims of an id_token, and signs it again.
type IDTokenEdit struct {
	Drop []string                   `json:"drop,omitempty"`
	Set  map[string]json.RawMessage `json:"set,omitempty"`
	// UnknownKey signs with a key, under a kid, that is not published.
	UnknownKey bool `json:"unknown_key,omitempty"`
}

func (e Edit) validate() error {
	members := []map[string]json.RawMessage{e.Set, e.Repeat}
	if e.IDToken != nil {
		members = append(members, e.IDToken.Set)
	}
	for _, set := range members {
		for name, value := range set {
			if !json.Valid(value) {
				return fmt.Errorf("edit: %q is not JSON", name)
			}
		}
	}
	if e.Truncate < 0 {
		return fmt.Errorf("edit: truncate %d is negative", e.Truncate)
	}
	return validAnswer(e.Status, e.Header)
}

// edit applies e to an answer with tokens. signing is the provider's key.
func (a *answer) edit(e Edit, signing signingKey) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(a.body.Bytes(), &fields); err != nil {
		return fmt.Errorf("read token answer: %w", err)
	}
	if raw, ok := fields["id_token"]; ok && e.IDToken != nil {
		changed, err := e.IDToken.apply(raw, signing)
		if err != nil {
			return err
		}
		fields["id_token"] = changed
	}
	change(fields, e.Drop, e.Set)
	a.body.Reset()
	a.body.Write(object(fields, e.Repeat))
	a.body.Truncate(max(0, a.body.Len()-e.Truncate))
	if e.Body != "" {
		a.body.Reset()
		a.body.WriteString(e.Body)
	}
	if e.Status != 0 {
		a.status = e.Status
	}
	a.setHeader(e.Header)
	return nil
}

func change(fields map[string]json.RawMessage, drop []string, set map[string]json.RawMessage) {
	for _, name := range drop {
		delete(fields, name)
	}
	for name, value := range set {
		fields[name] = value
	}
}

// object writes one JSON object with the members of all, in order. It is not
// left to encoding/json, which would write each name once and check the values.
func object(all ...map[string]json.RawMessage) []byte {
	var out bytes.Buffer
	for _, fields := range all {
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			if out.Len() > 0 {
				out.WriteByte(',')
			}
			fmt.Fprintf(&out, "%q:%s", name, fields[name])
		}
	}
	return fmt.Appendf(nil, "{%s}", out.Bytes())
}

// apply returns the changed id_token as JSON.
func (e IDTokenEdit) apply(raw json.RawMessage, signing signingKey) (json.RawMessage, error) {
	var compact string
	if err := json.Unmarshal(raw, &compact); err != nil {
		return nil, fmt.Errorf("read id_token: %w", err)
	}
	parsed, err := jose.ParseSigned(compact, []jose.SignatureAlgorithm{signing.algorithm})
	if err != nil {
		return nil, fmt.Errorf("read id_token: %w", err)
	}
	var claims map[string]json.RawMessage
	if err := json.Unmarshal(parsed.UnsafePayloadWithoutVerification(), &claims); err != nil {
		return nil, fmt.Errorf("read id_token: %w", err)
	}
	change(claims, e.Drop, e.Set)
	if e.UnknownKey {
		if signing, err = newSigningKey(signing.algorithm == jose.ES256); err != nil {
			return nil, err
		}
	}
	signer, err := zop.SignerFromKey(signing)
	if err != nil {
		return nil, fmt.Errorf("sign id_token: %w", err)
	}
	signed, err := signer.Sign(object(claims))
	if err != nil {
		return nil, fmt.Errorf("sign id_token: %w", err)
	}
	if compact, err = signed.CompactSerialize(); err != nil {
		return nil, fmt.Errorf("write id_token: %w", err)
	}
	return fmt.Appendf(nil, "%q", compact), nil
}
