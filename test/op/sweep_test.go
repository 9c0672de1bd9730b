package op

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// What the sweep leaves behind shows nowhere but in the maps.
func TestSweepForgetsWhatIsUseless(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, err := newStorage(Options{Issuer: "http://op.test"})
		if err != nil {
			t.Fatal(err)
		}
		login := func() {
			asked := &oidc.AuthRequest{CodeChallenge: "c", CodeChallengeMethod: oidc.CodeChallengeMethodS256}
			request, err := s.CreateAuthRequest(t.Context(), asked, "")
			if err != nil {
				t.Fatal(err)
			}
			if err := s.SaveAuthCode(t.Context(), request.GetID(), request.GetID()); err != nil {
				t.Fatal(err)
			}
			if _, _, err := s.CreateAccessToken(t.Context(), request); err != nil {
				t.Fatal(err)
			}
		}
		for range 10 {
			login()
		}
		time.Sleep(time.Hour)
		login()
		if len(s.requests) != 1 || len(s.codes) != 1 || len(s.accesses) != 1 {
			t.Errorf("%d requests, %d codes and %d access tokens are left, want 1 each", len(s.requests), len(s.codes), len(s.accesses))
		}
	})
}
