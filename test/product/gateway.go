package product

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
)

// checkTimeout is the one of the shipped bootstrap.
const checkTimeout = 5 * time.Second

// gateway is an http.RoundTripper that asks an ext_authz server about every
// request to the app, and does with the answer what Envoy was measured to do.
type gateway struct {
	authz authv3.AuthorizationServer
	app   http.Handler
	op    http.RoundTripper // takes every request to another host
	host  string            // of the app
}

func (g *gateway) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != g.host {
		return g.op.RoundTrip(r)
	}
	ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
	defer cancel()
	answer, err := g.authz.Check(ctx, checkRequest(r))
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if err != nil || ctx.Err() != nil {
		return response(r, http.StatusServiceUnavailable, nil, ""), nil // status_on_error, empty body
	}
	if answer.GetStatus().GetCode() != 0 {
		denied := answer.GetDeniedResponse()
		status := int(denied.GetStatus().GetCode())
		if status == int(typev3.StatusCode_Empty) {
			status = http.StatusForbidden
		}
		return response(r, status, denied.GetHeaders(), denied.GetBody()), nil
	}
	w := httptest.NewRecorder()
	g.app.ServeHTTP(w, upstream(r, answer.GetOkResponse()))
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

// checkRequest is what Envoy sends with encode_raw_headers.
func checkRequest(r *http.Request) *authv3.CheckRequest {
	raw := []*corev3.HeaderValue{}
	add := func(name, value string) {
		raw = append(raw, &corev3.HeaderValue{Key: strings.ToLower(name), RawValue: []byte(value)})
	}
	add(":authority", r.URL.Host)
	add(":path", r.URL.RequestURI())
	add(":method", r.Method)
	add(":scheme", "http")
	for name, lines := range r.Header {
		for _, line := range lines {
			add(name, line)
		}
	}
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Id: "1", Method: r.Method, Path: r.URL.RequestURI(), Host: r.URL.Host, Scheme: "http", Protocol: "HTTP/1.1",
			HeaderMap: &corev3.HeaderMap{Headers: raw},
		}},
	}}
}

// upstream applies the mutations: set overwrites, and removal comes last.
func upstream(r *http.Request, ok *authv3.OkHttpResponse) *http.Request {
	up := httptest.NewRequest(r.Method, r.URL.RequestURI(), nil)
	up.Host = r.URL.Host
	up.Header = r.Header.Clone()
	for _, h := range ok.GetHeaders() {
		up.Header.Set(h.GetHeader().GetKey(), h.GetHeader().GetValue())
	}
	for _, name := range ok.GetHeadersToRemove() {
		up.Header.Del(name)
	}
	return up
}

func response(r *http.Request, status int, headers []*corev3.HeaderValueOption, body string) *http.Response {
	resp := &http.Response{
		Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), StatusCode: status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{},
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: r,
	}
	for _, h := range headers {
		resp.Header.Add(h.GetHeader().GetKey(), h.GetHeader().GetValue())
	}
	return resp
}
