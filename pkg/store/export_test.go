package store

import "time"

// The frame of a record, for tests that damage one part and mend the checksum.
var (
	Frame   = frame
	Unframe = unframe
	AAD     = aad
)

// LeaveMost is leaveMost.
const LeaveMost = leaveMost

// Blind leaves x nothing of its queue but what is due by before and its children,
// and tells how many entries that is: whoever looks at another one panics.
func (x *DueIndex) Blind(before time.Time) (left int) {
	due := make([]bool, len(x.queue))
	for i, it := range x.queue {
		due[i] = !it.DueAt.After(before)
	}
	for i := range x.queue {
		if i == 0 || due[(i-1)/2] {
			left++
		} else {
			x.queue[i] = nil
		}
	}
	return left
}
