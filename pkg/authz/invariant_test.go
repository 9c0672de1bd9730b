package authz

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
)

// mustHold is what holds for every answer to every Check.
func mustHold(t testing.TB, answer *authv3.CheckResponse) {
	t.Helper()
	if answer.GetStatus() == nil {
		t.Fatal("no status: Envoy allows")
	}
	if _, err := proto.Marshal(answer); err != nil {
		t.Fatalf("gRPC cannot send it: %v", err)
	}
	ok, denied := answer.GetOkResponse(), answer.GetDeniedResponse()
	if allowed := answer.GetStatus().GetCode() == 0; allowed != (ok != nil) || allowed == (denied != nil) {
		t.Fatalf("code %d beside ok %v and denied %v", answer.GetStatus().GetCode(), ok, denied)
	}
	for _, h := range append(slices.Clone(ok.GetHeaders()), denied.GetHeaders()...) {
		mustBeHeader(t, h)
	}
	if ok != nil {
		mustBeOK(t, ok)
		return
	}
	status := denied.GetStatus().GetCode()
	if _, known := typev3.StatusCode_name[int32(status)]; !known || status < 200 {
		t.Errorf("status %d", status)
	}
	if (status == 204 || status == 304) && denied.GetBody() != "" {
		t.Errorf("status %d with a body", status)
	}
	var caching []string
	for _, h := range denied.GetHeaders() {
		if strings.EqualFold(h.GetHeader().GetKey(), "cache-control") {
			caching = append(caching, h.GetHeader().GetValue())
		}
	}
	if !slices.Equal(caching, []string{"no-store"}) {
		t.Errorf("cache-control %q", caching)
	}
}

func mustBeOK(t testing.TB, ok *authv3.OkHttpResponse) {
	t.Helper()
	var set []string
	for _, h := range ok.GetHeaders() {
		if h.GetAppendAction() != corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD {
			t.Errorf("%s: append action %v", h.GetHeader().GetKey(), h.GetAppendAction())
		}
		name := strings.ToLower(h.GetHeader().GetKey())
		if slices.Contains(set, name) {
			t.Errorf("%s: set twice", name)
		}
		set = append(set, name)
	}
	for _, name := range ok.GetHeadersToRemove() {
		if slices.Contains(set, strings.ToLower(name)) {
			t.Errorf("%s: both set and removed", name)
		}
		mustBeName(t, name)
	}
	if len(ok.GetResponseHeadersToAdd())+len(ok.GetQueryParametersToSet())+len(ok.GetQueryParametersToRemove()) > 0 {
		t.Errorf("more than headers: %v", ok)
	}
}

func mustBeHeader(t testing.TB, h *corev3.HeaderValueOption) {
	t.Helper()
	mustBeName(t, h.GetHeader().GetKey())
	value := h.GetHeader().GetValue()
	if strings.ContainsAny(value, "\r\n\x00") || !utf8.ValidString(value) || value == "" {
		t.Errorf("%s: value %q", h.GetHeader().GetKey(), value)
	}
	if h.GetAppend() != nil || len(h.GetHeader().GetRawValue()) > 0 { // the one wins over append_action, Envoy ignores the other
		t.Errorf("%s: append %v, raw value %q", h.GetHeader().GetKey(), h.GetAppend(), h.GetHeader().GetRawValue())
	}
}

func mustBeName(t testing.TB, name string) {
	t.Helper()
	lower := strings.ToLower(name)
	switch lower {
	case "", "host", "content-length", "transfer-encoding", "connection", "te", "upgrade":
		t.Errorf("header %q is not ours to touch", name)
	}
	if strings.HasPrefix(lower, ":") || strings.HasPrefix(lower, "x-envoy-") {
		t.Errorf("header %q is not ours to touch", name)
	}
	if strings.ContainsFunc(name, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	}) {
		t.Errorf("header name %q", name)
	}
}
