package store

// The frame of a record, for tests that damage one part and mend the checksum.
var (
	Frame   = frame
	Unframe = unframe
	AAD     = aad
)
