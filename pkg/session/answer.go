package session

import "time"

// Answer is what one refresh request to the token endpoint came to, already
// classified.
type Answer struct {
	Class Class
	Grant Grant // when Class is Renewed
	// Sent: the request was written, at least in part. False only with Transient.
	Sent bool
	// RetryAfter is how long the OP asks everybody to stay away (RFC 9110 section
	// 10.2.3); 0: it did not.
	RetryAfter time.Duration
	// Err tells an operator what happened, without a secret; nil when Renewed.
	Err error
}
