package config

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a time.Duration in Go's syntax: 300s, 1h30m. The unit is never
// left out.
type Duration time.Duration

// Std returns d as the standard library knows it.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String formats d so that it can be written in a configuration.
func (d Duration) String() string { return time.Duration(d).String() }

// Bytes is an amount of memory: a plain number of bytes, or one with the suffix
// KiB, MiB or GiB.
type Bytes int64

// String uses the largest unit that divides b.
func (b Bytes) String() string {
	for i := len(byteUnits) - 1; i >= 0; i-- {
		if u := byteUnits[i]; b != 0 && int64(b)%u.size == 0 {
			return strconv.FormatInt(int64(b)/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

var byteUnits = [...]struct {
	name string
	size int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}}

// fault is what is wrong with a value, and what would be right.
type fault struct{ what, fix string }

func parseDuration(text string) (int64, *fault) {
	d, err := time.ParseDuration(text)
	if _, bare := strconv.ParseFloat(text, 64); bare == nil { // ParseDuration lets a bare 0 pass
		return 0, &fault{"is a number without a unit", "write " + text + "s"}
	}
	if err != nil {
		return 0, &fault{quote(text) + " is not a duration", "write one such as 300s or 1h30m"}
	}
	return int64(d), nil
}

func parseBytes(text string) (int64, *fault) {
	digits, size := text, int64(1)
	for _, u := range byteUnits {
		if number, ok := strings.CutSuffix(text, u.name); ok {
			digits, size = number, u.size
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > math.MaxInt64/size || n < math.MinInt64/size {
		return 0, &fault{quote(text) + " is not an amount of memory", "write one such as 64MiB (KiB, MiB, GiB), or plain bytes"}
	}
	return n * size, nil
}

func parseInt(text string) (int64, *fault) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != text { // 0x10, 1_000 and 007 mean different things to different readers
		return 0, &fault{quote(text) + " is not a whole decimal number", "write one such as 300"}
	}
	return n, nil
}

// quote shows a short piece of what the user wrote. Only for values that cannot
// be secrets.
func quote(text string) string {
	if len(text) > 40 {
		text = strings.ToValidUTF8(text[:40], "") + "…"
	}
	return strconv.Quote(text)
}
