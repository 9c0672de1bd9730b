package op

import (
	"encoding/json"
	"net/http"
	"time"
)

// Control is the body of POST /_control. Its parts take effect in this order.
type Control struct {
	Clear             bool      `json:"clear,omitempty"`               // ClearFaults
	AccessTokenLife   *Duration `json:"access_token_life,omitempty"`   // SetAccessTokenLife
	OmitExpiresIn     *bool     `json:"omit_expires_in,omitempty"`     // SetOmitExpiresIn
	IssueRefreshToken *bool     `json:"issue_refresh_token,omitempty"` // SetIssueRefreshToken
	IDTokenOnRefresh  *bool     `json:"id_token_on_refresh,omitempty"` // SetIDTokenOnRefresh
	Policy            *Policy   `json:"policy,omitempty"`              // SetPolicy
	Fault             *Fault    `json:"fault,omitempty"`               // SetFault
	Release           bool      `json:"release,omitempty"`             // Release
}

// control answers 204, or 400 naming what it did not understand.
func (p *Provider) control(w http.ResponseWriter, r *http.Request) {
	var c Control
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxForm))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := p.apply(c); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (p *Provider) apply(c Control) error {
	if c.Clear {
		p.ClearFaults()
	}
	if c.AccessTokenLife != nil {
		p.SetAccessTokenLife(time.Duration(*c.AccessTokenLife))
	}
	if c.OmitExpiresIn != nil {
		p.SetOmitExpiresIn(*c.OmitExpiresIn)
	}
	if c.IssueRefreshToken != nil {
		p.SetIssueRefreshToken(*c.IssueRefreshToken)
	}
	if c.IDTokenOnRefresh != nil {
		p.SetIDTokenOnRefresh(*c.IDTokenOnRefresh)
	}
	if c.Policy != nil {
		if err := p.SetPolicy(*c.Policy); err != nil {
			return err
		}
	}
	if c.Fault != nil {
		if err := p.SetFault(*c.Fault); err != nil {
			return err
		}
	}
	if c.Release {
		p.Release()
	}
	return nil
}
