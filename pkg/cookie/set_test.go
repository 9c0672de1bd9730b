package cookie_test

import (
	"strings"
	"testing"
	"time"

	"github.com/lamplighter/lamplighter/pkg/cookie"
)

func TestSetCookie(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, got, want string }{
		{
			"host", cookie.Session(ours, "H", 8*time.Hour, "").String(),
			"__Host-bff_session=H; Path=/; Max-Age=28800; HttpOnly; Secure; SameSite=Lax",
		},
		{
			"domain", cookie.Session("__Secure-s", "H", time.Minute, "example.com").String(),
			"__Secure-s=H; Path=/; Domain=example.com; Max-Age=60; HttpOnly; Secure; SameSite=Lax",
		},
		{
			"rounds up", cookie.Session(ours, "H", time.Millisecond, "").String(),
			"__Host-bff_session=H; Path=/; Max-Age=1; HttpOnly; Secure; SameSite=Lax",
		},
		{
			"expire", cookie.Expire(ours, "").String(),
			"__Host-bff_session=; Path=/; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0; HttpOnly; Secure; SameSite=Lax",
		},
		{
			"no time left carries no value", cookie.Session(ours, "H", 0, "").String(),
			cookie.Expire(ours, "").String(),
		},
		{
			"expire with domain", cookie.Expire("__Secure-s", "example.com").String(),
			"__Secure-s=; Path=/; Domain=example.com; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0; HttpOnly; Secure; SameSite=Lax",
		},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, tt.got, tt.want)
		}
	}
}

func TestCheckName(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, domain, complaint string }{
		{ours, "", ""},
		{"__Secure-s", "", ""},
		{"__Secure-s", "example.com", ""},
		{"", "", "is empty"},
		{"__Host-", "", "only a prefix"},
		{"__Secure-", "", "only a prefix"},
		{"__Host-s", "example.com", "write __Secure-s"},
		{"sid", "", "write __Host-bff_session"},
		{"sid", "example.com", "write __Secure-bff_session"},
		{"__host-s", "", "write __Host-"},
		{"__Host-a b", "", "RFC 6265 token"},
		{"__Host-a;b", "", "RFC 6265 token"},
		{"__Host-a=b", "", "RFC 6265 token"},
		{"__Host-a,b", "", "RFC 6265 token"},
		{"__Host-\x00", "", "RFC 6265 token"},
		{"__Host-é", "", "RFC 6265 token"},
	}
	for _, tt := range tests {
		wantComplaint(t, tt.name+" "+tt.domain, cookie.CheckName(tt.name, tt.domain), tt.complaint)
	}
}

func TestCheckDomain(t *testing.T) {
	t.Parallel()
	tests := []struct{ domain, host, complaint string }{
		{"", "app.example.com", ""},
		{"example.com", "app.example.com", ""},
		{"app.example.com", "app.example.com", ""},
		{".example.com", "app.example.com", "starts with a dot"},
		{"example.org", "app.example.com", "does not cover the host app.example.com"},
		{"ample.com", "app.example.com", "does not cover"},
		{"sub.app.example.com", "app.example.com", "does not cover"},
		{"com", "app.example.com", "single label"},
		{"localhost", "localhost", "single label"},
		{"127.0.0.1", "127.0.0.1", "IP address"},
		{"[::1]", "::1", "IP address"},
		{"Example.com", "app.example.com", "lower-case"},
		{"example.com; Secure", "app.example.com", "not a domain"},
		{"example..com", "app.example.com", "not a domain"},
		{"-a.com", "-a.com", "not a domain"},
	}
	for _, tt := range tests {
		wantComplaint(t, tt.domain+" for "+tt.host, cookie.CheckDomain(tt.domain, tt.host), tt.complaint)
	}
}

func wantComplaint(t *testing.T, what string, err error, complaint string) {
	t.Helper()
	switch {
	case complaint == "" && err != nil:
		t.Errorf("%q: %v", what, err)
	case complaint != "" && (err == nil || !strings.Contains(err.Error(), complaint)):
		t.Errorf("%q: got %v, want a complaint with %q", what, err, complaint)
	}
}
