package providers

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
)

// keycloakLine is a line of Keycloak's log.
func keycloakLine(logger, message string) string {
	text, _ := json.Marshal(map[string]string{"loggerName": logger, "message": message, "level": "INFO"})
	return string(text) + "\n"
}

func TestBooksAreReadAsTheyCome(t *testing.T) {
	t.Parallel()
	const of = `, realmName="lamplighter", clientId="lamplighter", userId="00000000-0000-4000-8000-000000000007"`
	reused := `type="REFRESH_TOKEN_ERROR", userId="null", error="invalid_token", reason="Maximum allowed refresh token reuse exceeded"`
	for name, tt := range map[string]struct {
		read func([]byte) (Event, bool)
		text string
		want []Event
	}{
		"oidc-provider": {readOIDCProvider, `oidc-provider WARNING: of a start
{"event":"listening","address":"127.0.0.1:4000"}
{"event":"grant.success","grant_type":"authorization_code","user":"user-07"}
{"event":"refresh_token.consumed","user":"user-07","consumed":"ab"}
{"event":"grant.success","grant_type":"refresh_token","user":"user-07","consumed":"ab"}
{"event":"userinfo.error","error":"invalid_token"}
{"event":"grant.error","error":"invalid_grant"}
{"event":"grant.revoked","user":"user-07"}
{"event":"grant.suc`, []Event{
			{Listening, "", "", "127.0.0.1:4000"},
			{Login, "user-07", "", `{"event":"grant.success","grant_type":"authorization_code","user":"user-07"}`},
			{Consumed, "user-07", "ab", `{"event":"refresh_token.consumed","user":"user-07","consumed":"ab"}`},
			{Refresh, "user-07", "ab", `{"event":"grant.success","grant_type":"refresh_token","user":"user-07","consumed":"ab"}`},
			{Trouble, "", "", `{"event":"grant.error","error":"invalid_grant"}`},
			{Trouble, "user-07", "", `{"event":"grant.revoked","user":"user-07"}`},
		}},
		"keycloak": {readKeycloak, "no JSON\n" +
			keycloakLine("io.quarkus", "Keycloak 26 on JVM started in 8s. Listening on: http://127.0.0.1:4000") +
			keycloakLine("org.keycloak.services", `type="REFRESH_TOKEN"`) +
			keycloakLine("org.keycloak.events", `type="LOGIN"`+of) +
			keycloakLine("org.keycloak.events", `type="CODE_TO_TOKEN"`+of) +
			keycloakLine("org.keycloak.events", `type="REFRESH_TOKEN"`+of+`, refresh_token_id="ab", updated_refresh_token_id="cd"`) +
			keycloakLine("org.keycloak.events", reused) +
			keycloakLine("org.keycloak.events", `type="LOGOUT"`+of), []Event{
			{Listening, "", "", "127.0.0.1:4000"},
			{Login, "user-07", "", `type="CODE_TO_TOKEN"` + of},
			{Refresh, "user-07", "ab", `type="REFRESH_TOKEN"` + of + `, refresh_token_id="ab", updated_refresh_token_id="cd"`},
			{Trouble, "null", "", reused},
			{Trouble, "user-07", "", `type="LOGOUT"` + of},
		}},
	} {
		for _, size := range []int{1, 7, len(tt.text)} {
			t.Run(fmt.Sprintf("%s by %d", name, size), func(t *testing.T) {
				t.Parallel()
				b := &books{read: tt.read}
				for part := range slices.Chunk([]byte(tt.text), size) {
					_, _ = b.Write(part)
				}
				if got := b.all(); !slices.Equal(got, tt.want) {
					t.Errorf("got  %q\nwant %q", got, tt.want)
				}
			})
		}
	}
}

func TestUserIDs(t *testing.T) {
	t.Parallel()
	for i := range Users {
		if got := userOf(userID(i)); got != User(i) {
			t.Errorf("the id of %s is that of %s", User(i), got)
		}
	}
}
