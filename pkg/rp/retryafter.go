package rp

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// longestRetryAfter is as long as anybody is believed to mean it.
const longestRetryAfter = 5 * time.Minute

// retryAfterOf reads how long an OP asks to be left alone (RFC 9110 section
// 10.2.3): seconds, or a date by the clock that wrote the answer. Garbage, the
// past, and any status but 429 and 503 are no wish at all.
func retryAfterOf(status int, h http.Header, now time.Time) time.Duration {
	if status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable {
		return 0
	}
	if its, err := http.ParseTime(h.Get("Date")); err == nil {
		now = its
	}
	for _, line := range h.Values("Retry-After") {
		line = strings.TrimSpace(line)
		if line != "" && strings.Trim(line, "0123456789") == "" {
			seconds, err := strconv.ParseUint(line, 10, 32)
			if err != nil || seconds > uint64(longestRetryAfter/time.Second) {
				return longestRetryAfter
			}
			return time.Duration(seconds) * time.Second
		}
		if at, err := http.ParseTime(line); err == nil {
			return min(longestRetryAfter, max(0, at.Sub(now)))
		}
	}
	return 0
}
