package stack

import (
	"fmt"
	"net/http"
	"sync"
)

// Flood sends n requests in parallel, as a page of the app does, and returns the
// access tokens that the app saw. The error is that of one of the requests.
func (b *Browser) Flood(n int) (tokens []string, err error) {
	tokens = make([]string, n)
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			var a Answer
			if a, errs[i] = b.DoOnce(b.Request(http.MethodGet, "/", "Accept: application/json")); errs[i] == nil {
				tokens[i], errs[i] = a.AccessToken()
			}
		})
	}
	all.Wait()
	failed := 0
	for _, e := range errs {
		if e != nil {
			failed, err = failed+1, e
		}
	}
	if err != nil {
		err = fmt.Errorf("%d of %d parallel requests failed, one of them: %w", failed, n, err)
	}
	return tokens, err
}
