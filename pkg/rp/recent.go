package rp

import (
	"net/http"
	"slices"
	"time"

	"github.com/lamplighter/lamplighter/pkg/cookie"
)

const (
	recentCookie = LoginCookiePrefix + "recent"
	loopTime     = time.Minute
	loopLogins   = 3
)

// countLogin notes a completed login in the browser and returns how many it has
// completed within the last minute, each begun after the one before was over. A
// browser that comes back so often is sent in circles by something that only a
// person can put right. A login begun before is another tab's, and no sign of that.
func (p *RP) countLogin(w http.ResponseWriter, r *http.Request, began, now time.Time) int {
	var times []int64 // Unix milliseconds
	for value := range cookies(r).Find(recentCookie) {
		if p.open(recentCookie, value, &times) {
			break
		}
		times = nil
	}
	times = slices.DeleteFunc(times, func(t int64) bool { return now.Sub(time.UnixMilli(t)) >= loopTime })
	if n := len(times); n > 0 && began.Before(time.UnixMilli(times[n-1])) {
		return 1
	}
	times = append(times, now.UnixMilli())
	times = times[max(0, len(times)-loopLogins):]
	if value, err := p.seal(recentCookie, times); err == nil {
		http.SetCookie(w, cookie.Session(recentCookie, value, loopTime, ""))
	}
	return len(times)
}
