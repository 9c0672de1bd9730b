package op

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// token is the token endpoint: the ledger and the faults, around the library.
func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost { // RFC 6749 section 3.2; the library takes GET
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "the token endpoint takes POST", http.StatusMethodNotAllowed)
		return
	}
	entry := p.storage.arrived()
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	err := r.ParseForm()
	grant := grantType(r.FormValue("grant_type"))
	p.storage.begun(entry, grant, r.PostFormValue("refresh_token"))
	defer p.storage.over(grant)

	fault, struck := r.Context().Value(faultKey{}).(Fault)
	if !struck {
		fault = p.faults.strike(grant)
	}
	if fault.Name != "" {
		p.storage.entry(entry, func(e *Received) { e.Fault = fault.Name })
	}
	p.before(r, entry, fault)
	var a *answer
	switch {
	case fault.Unsent != "":
		a = refuse(http.StatusNotImplemented, "too late to fail before the request was written\n", nil)
	case fault.Status != 0:
		a = refuse(fault.Status, fault.Body, fault.Header)
	case err != nil:
		a = refuse(http.StatusBadRequest, `{"error":"invalid_request"}`, nil)
	default:
		a = p.exchange(r, entry, grant)
		if fault.Edit != nil && a.status == http.StatusOK && a.edit(*fault.Edit, p.storage.key) != nil {
			a = serverError()
		}
	}
	code := a.errorCode()
	a.pad(fault.Pad)
	a.drip = time.Duration(fault.Drip)
	p.storage.entry(entry, func(e *Received) { e.Status, e.Error = a.status, code })
	p.after(r, entry, fault)
	if !p.send(r.Context(), w, a) {
		p.storage.entry(entry, lost)
		panic(http.ErrAbortHandler)
	}
}

func lost(e *Received) { e.Lost = true }

// before does what a fault does before anything is consumed. A POST that is
// dropped gets no answer, for any would be a lie: its connection is cut.
func (p *Provider) before(r *http.Request, entry *Received, fault Fault) {
	dropped := func(e *Received) { e.Error = Dropped }
	if fault.Delay > 0 && wait(context.Background(), p.closed, time.Duration(fault.Delay)) != nil {
		p.storage.entry(entry, dropped)
		panic(http.ErrAbortHandler)
	}
	if fault.HoldBefore && !p.hold(r.Context(), entry, dropped) {
		panic(http.ErrAbortHandler)
	}
	if fault.CutBefore {
		p.storage.entry(entry, func(e *Received) { e.Error = Cut })
		panic(http.ErrAbortHandler)
	}
}

// after does what a fault does with the answer ready.
func (p *Provider) after(r *http.Request, entry *Received, fault Fault) {
	if fault.HoldAfter && !p.hold(r.Context(), entry, lost) {
		panic(http.ErrAbortHandler)
	}
	if fault.CutAfter {
		p.storage.entry(entry, lost)
		panic(http.ErrAbortHandler)
	}
}

// exchange answers the request by the library. It runs to its end even if the
// caller is gone: a consumed token has its successor.
func (p *Provider) exchange(r *http.Request, entry *Received, grant string) *answer {
	var i issue
	r = r.WithContext(context.WithValue(context.WithoutCancel(r.Context()), issueKey{}, &i))
	var a *answer
	if grant == string(oidc.GrantTypeRefreshToken) {
		a = p.refresh(r)
	} else {
		a = newAnswer()
		p.library.ServeHTTP(a, r)
		if i.life > 0 && a.status == http.StatusOK && a.setExpiresIn(i) != nil {
			a = serverError()
		}
	}
	p.storage.entry(entry, func(e *Received) {
		e.Spent, e.Accepted = i.spent, i.accepted
		if i.family != "" {
			e.Family, e.Generation = i.family, i.generation
		}
	})
	return a
}

func grantType(asked string) string {
	switch asked {
	case string(oidc.GrantTypeCode), string(oidc.GrantTypeRefreshToken):
		return asked
	}
	return OtherGrant
}

func serverError() *answer {
	return refuse(http.StatusInternalServerError, `{"error":"server_error"}`, nil)
}

func refuse(status int, body string, header map[string]string) *answer {
	a := newAnswer()
	kind := "text/plain; charset=utf-8"
	if json.Valid([]byte(body)) {
		kind = "application/json"
	}
	a.header.Set("Content-Type", kind)
	a.setHeader(header)
	a.status = status
	a.body.WriteString(body)
	return a
}

// setExpiresIn writes the life the token really got. The library computes it
// from the clock a moment later and truncates: 59 of 60.
func (a *answer) setExpiresIn(i issue) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(a.body.Bytes(), &fields); err != nil {
		return fmt.Errorf("read token answer: %w", err)
	}
	delete(fields, "expires_in")
	if !i.omitLife {
		fields["expires_in"] = fmt.Append(nil, int64(i.life/time.Second))
	}
	a.body.Reset()
	if err := json.NewEncoder(&a.body).Encode(fields); err != nil {
		return fmt.Errorf("write token answer: %w", err)
	}
	a.header.Set("Cache-Control", "no-store") // RFC 6749 section 5.1
	return nil
}

// errorCode is the answer's error (RFC 6749 section 5.2), for the ledger: only
// lower-case letters and underscores, so no value can pass for a code.
func (a *answer) errorCode() string {
	var body struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(a.body.Bytes(), &body) != nil || len(body.Error) > 40 {
		return ""
	}
	for _, c := range body.Error {
		if c != '_' && (c < 'a' || c > 'z') {
			return ""
		}
	}
	return body.Error
}
