package rp

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/session"
)

type profileCase struct {
	status int
	body   string
	want   session.Class
}

const (
	dead, misconf, refused = session.Dead, session.Misconfigured, session.Refused
	transient, unknown     = session.Transient, session.Unknown
)

func code(name string) string { return `{"error":"` + name + `"}` }

// usual is what every profile reads alike.
func usual() []profileCase {
	return []profileCase{
		{400, code("invalid_grant"), dead},
		{403, code("invalid_grant"), dead},
		{400, code("invalid_client"), misconf},
		{401, code("unauthorized_client"), misconf},
		{400, code("temporarily_unavailable"), transient},
		{503, code("temporarily_unavailable"), transient},
		{400, code("slow_down"), transient},
		{429, "", transient},
		{400, code("invalid_scope"), refused},
		{403, "<html>", refused},
		{500, code("server_error"), unknown},
		{502, "<html>", unknown},
		{307, "", unknown},
		{600, "", unknown},
		{200, "<html>", unknown},
		{200, `{}`, unknown},
		{200, `{"access_token":"a","error":"invalid_grant"}`, unknown},
		{200, `{"access_token":"a","token_type":"Bearer"}`, session.Renewed},
	}
}

// ownCases is what each profile means by what profiles differ in.
func ownCases() map[string][]profileCase {
	plain := func(request, needsUser, bare401, bare503 session.Class) []profileCase {
		return []profileCase{
			{400, code("invalid_request"), request},
			{400, code("interaction_required"), needsUser}, {400, code("consent_required"), needsUser}, {400, code("login_required"), needsUser},
			{401, "", bare401}, {401, code("token_inactive"), bare401},
			{503, "<html>", bare503},
		}
	}
	return map[string][]profileCase{
		"generic":       plain(refused, refused, misconf, transient),
		"keycloak":      plain(refused, refused, misconf, transient),
		"entra":         plain(refused, dead, misconf, transient),
		"okta":          plain(refused, refused, misconf, transient),
		"auth0":         plain(refused, refused, misconf, unknown),
		"google":        plain(refused, refused, misconf, transient),
		"cognito":       plain(refused, refused, misconf, transient),
		"hydra":         plain(transient, refused, transient, transient),
		"dex":           plain(dead, refused, misconf, transient),
		"zitadel":       plain(dead, refused, misconf, transient),
		"oidc-provider": plain(refused, refused, misconf, unknown),
	}
}

// TestProfiles has a row for every line of the table under every profile, and
// fails for a line, a code or a status without one.
func TestProfiles(t *testing.T) {
	t.Parallel()
	own := ownCases()
	want := expected{issuer: "https://op", clientID: "us", subject: "u"}
	stranger := `{"access_token":"a","token_type":"Bearer","id_token":"` + idToken(t, map[string]any{"iss": "https://op", "sub": "v", "aud": "us"}) + `"}`
	for _, p := range session.Profiles() {
		cases, ok := own[p.Name]
		if !ok {
			t.Errorf("no cases for the profile %s", p.Name)
		}
		missing := declaredRows(t)
		codes, statuses := map[string]bool{}, map[int]bool{}
		for name, class := range p.Codes {
			missing[row("error code: "+class.String())], codes[name] = true, true
		}
		for status, class := range p.Statuses {
			missing[row("status: "+class.String())], statuses[status] = true, true
		}
		check := func(what string, r reply, class session.Class) {
			got := classify(p, r, want)
			if got.class != class {
				t.Errorf("%s: %s: %v by %q, want %v", p.Name, what, got.class, got.row, class)
			}
			delete(missing, got.row)
		}
		check("not written", reply{err: errThrottled}, transient)
		check("no answer", reply{sent: true, err: errThrottled}, unknown)
		check("tokens of another user", answer(200, stranger), session.Foreign)
		for _, c := range append(usual(), cases...) {
			check(http.StatusText(c.status)+" "+c.body, answer(c.status, c.body), c.want)
			if name, found := strings.CutPrefix(c.body, `{"error":"`); found {
				delete(codes, strings.TrimSuffix(name, `"}`))
			} else {
				delete(statuses, c.status)
			}
		}
		if len(missing)+len(codes)+len(statuses) > 0 {
			t.Errorf("%s: no case for %v, codes %v, statuses %v", p.Name, missing, codes, statuses)
		}
		delete(own, p.Name)
	}
	if len(own) > 0 {
		t.Errorf("cases for no profile: %v", own)
	}
}

// declaredRows are the rows that the code has, but for those of the profile's own
// codes and statuses: a row that nobody tests cannot hide by not being listed.
func declaredRows(t *testing.T) map[row]bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "classify.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[row]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || fmt.Sprint(spec.Type) != "row" {
			return true
		}
		for _, v := range spec.Values {
			text, err := strconv.Unquote(v.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(text, "error code: ") && !strings.HasPrefix(text, "status: ") {
				rows[row(text)] = true
			}
		}
		return true
	})
	if !rows[rowRenewed] {
		t.Fatalf("no rows found in classify.go but %v", rows)
	}
	return rows
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	date := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for _, tt := range []struct {
		status int
		lines  []string
		date   string // of the answer
		want   time.Duration
	}{
		{429, []string{"7"}, "", 7 * time.Second},
		{503, []string{" 7 "}, "", 7 * time.Second},
		{500, []string{"7"}, "", 0},
		{200, []string{"7"}, "", 0},
		{429, nil, "", 0},
		{429, []string{""}, "", 0},
		{429, []string{"0"}, "", 0},
		{429, []string{"-7"}, "", 0},
		{429, []string{"7.5"}, "", 0},
		{429, []string{"soon"}, "", 0},
		{429, []string{"1e3"}, "", 0},
		{429, []string{"soon", "7"}, "", 7 * time.Second},
		{429, []string{"300"}, "", 5 * time.Minute},
		{429, []string{"301"}, "", 5 * time.Minute},
		{429, []string{"99999999999999999999999999"}, "", 5 * time.Minute},
		{429, []string{date(time.Minute)}, "", time.Minute},
		{429, []string{date(-time.Minute)}, "", 0},
		{429, []string{date(24 * time.Hour)}, "", 5 * time.Minute},
		{429, []string{date(time.Hour + time.Minute)}, date(time.Hour), time.Minute}, // the OP's clock is an hour ahead
		{429, []string{date(time.Minute)}, "yesterday", time.Minute},
	} {
		h := http.Header{}
		for _, line := range tt.lines {
			h.Add("Retry-After", line)
		}
		if tt.date != "" {
			h.Set("Date", tt.date)
		}
		if got := retryAfterOf(tt.status, h, now); got != tt.want {
			t.Errorf("%d %q, date %q: %v, want %v", tt.status, tt.lines, tt.date, got, tt.want)
		}
	}
}
