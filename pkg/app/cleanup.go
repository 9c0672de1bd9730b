package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// cleanups undo what has been opened, last first.
type cleanups []cleanup

type cleanup struct {
	name string
	do   func(context.Context) error
}

func (c *cleanups) add(name string, do func(context.Context) error) {
	*c = append(*c, cleanup{name, do})
}

// run calls all of them, whatever fails, and empties the list.
func (c *cleanups) run(ctx context.Context) error {
	var errs []error
	for _, one := range slices.Backward(*c) {
		if err := one.do(ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", one.name, err))
		}
	}
	*c = nil
	return errors.Join(errs...)
}
