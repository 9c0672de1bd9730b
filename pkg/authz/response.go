package authz

import (
	"net/http"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
)

// ok is the one constructor of an allow. The lists it begins with are shared:
// appending makes a copy.
func (s *Server) ok(r *request, d decision) *authv3.CheckResponse {
	var set []*corev3.HeaderValueOption
	var remove removal
	switch {
	case d.verdict == allow:
		set, remove = slices.Clip(d.headers.set), d.headers.remove
	case d.verdict == anonymous && d.keepBearer:
		remove = s.identityOnly
	case d.verdict == anonymous:
		remove = s.everything
	default:
		return s.denied(r, decision{})
	}
	rest, ours := r.cookies.Strip(s.ours)
	if ours {
		rest = carried(rest)
	}
	names := append(remove.list(ours && rest == ""), r.lookalikes...)
	if rest != "" && ours {
		set = append(set, overwrite("cookie", rest))
	}
	return &authv3.CheckResponse{
		Status: &status.Status{Code: int32(codes.OK)},
		HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{
			Headers: set, HeadersToRemove: names,
		}},
	}
}

// ours: cookies that are for us alone.
func (s *Server) ours(name string) bool {
	return name == s.opts.CookieName || strings.HasPrefix(name, s.opts.OwnCookies)
}

// carried leaves out the cookies that an answer cannot carry. They would reach
// the app only together with ours.
func carried(cookies string) string {
	if sendable(cookies) {
		return cookies
	}
	crumbs := strings.Split(cookies, ";")
	crumbs = slices.DeleteFunc(crumbs, func(crumb string) bool { return !sendable(crumb) })
	return strings.Trim(strings.Join(crumbs, ";"), " \t;")
}

// deny is the one constructor of a denial, whatever the HTTP status: a
// signed-in user's own page is one too.
func deny(httpStatus int, body string, headers []*corev3.HeaderValueOption) *authv3.CheckResponse {
	if _, known := typev3.StatusCode_name[int32(httpStatus)]; !known || httpStatus < http.StatusOK {
		// 1xx would hang the client, and what Envoy does not know is an accident.
		httpStatus, body, headers = http.StatusServiceUnavailable, "", []*corev3.HeaderValueOption{line("cache-control", "no-store")}
	}
	if httpStatus == http.StatusNoContent || httpStatus == http.StatusNotModified {
		body = "" // Envoy would write it
	}
	return &authv3.CheckResponse{
		Status: &status.Status{Code: int32(codes.PermissionDenied)},
		HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
			Status: &typev3.HttpStatus{Code: typev3.StatusCode(httpStatus)}, Headers: headers, Body: body,
		}},
	}
}

// line is a header of a denial. append stays unset: with it Envoy would drop the
// header, without it several lines of one name all arrive.
func line(name, value string) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{Header: &corev3.HeaderValue{Key: name, Value: value}}
}
