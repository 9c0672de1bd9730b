package config

import (
	"slices"
	"strings"
)

// setByLogin are the parameters of the authorization request that lamplighter
// sets itself, and those that would carry them, or the answer, another way.
var setByLogin = []string{
	"response_type", "client_id", "redirect_uri", "scope", "state", "nonce", "code_challenge", "code_challenge_method",
	"response_mode", "request", "request_uri", "dpop_jkt",
}

// secretParams have no place in a URL that browsers keep in their history.
var secretParams = []string{"client_secret", "client_assertion", "client_assertion_type"}

func (l *ledger) checkAuthorizationParams(params map[string]string) {
	const path = "provider.authorization_params"
	for name, value := range params {
		at := join(path, name)
		if !l.sound(at) {
			continue
		}
		switch {
		case name == "" || strings.ContainsFunc(name, notParamName):
			l.add(l.keys[at], at, "is not a parameter name (letters, digits, - . _)", "write one such as prompt: consent")
		case name == "scope":
			l.add(l.keys[at], at, "is set by lamplighter itself", "write the scopes into provider.scopes")
		case name == "client_id":
			l.add(l.keys[at], at, "is set by lamplighter itself", "write it into provider.client_id")
		case slices.Contains(setByLogin, name):
			l.add(l.keys[at], at, "is set by lamplighter itself", "remove it")
		case slices.Contains(secretParams, name):
			l.add(l.keys[at], at, "would show a secret to browsers", "write the secret into the file of provider.client_secret_file")
		case value == "":
			l.wrong(at, "is empty, which providers read as not given", "write a value, or remove it")
		}
	}
}

// notParamName is the complement of name-char, RFC 6749 appendix A.
func notParamName(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_')
}
