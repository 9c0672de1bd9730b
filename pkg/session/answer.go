package session

// Answer is what one refresh request to the token endpoint came to, already
// classified.
type Answer struct {
	Class Class
	Grant Grant // when Class is Renewed
	// Sent: the request was written, at least in part. False only with Transient.
	Sent bool
	// Err tells an operator what happened, without a secret; nil when Renewed.
	Err error
}
