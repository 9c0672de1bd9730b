//go:build providers

package providers

// refreshes counts, by user, what the provider has written down.
func (c *crowd) refreshes() map[string]int {
	n := make(map[string]int)
	for _, e := range c.p.Events() {
		if e.Kind == Refresh {
			n[e.User]++
		}
	}
	return n
}

// balance holds the provider's books against themselves and against lamplighter's
// revisions.
func (c *crowd) balance() {
	c.t.Helper()
	revisions := make(map[string]int)
	for _, u := range c.users {
		live, err := c.settled(u, 0)
		if err != nil {
			c.t.Error(err)
			continue
		}
		revisions[u.name] = int(live.Revision) - 1
	}
	spent, consumed, logins := make(map[string]int), 0, 0
	for _, e := range c.p.Events() {
		switch e.Kind {
		case Trouble:
			c.t.Errorf("the provider tells of trouble: %s", e.Detail)
		case Login:
			logins++
		case Consumed:
			consumed++
		case Refresh:
			spent[e.Spent]++
		}
	}
	total := 0
	for name, n := range c.refreshes() {
		if total += n; n != revisions[name] {
			c.t.Errorf("%s: the provider has refreshed %d times, lamplighter has %d new revisions", name, n, revisions[name])
		}
	}
	if logins != len(c.users) {
		c.t.Errorf("%d logins, want %d", logins, len(c.users))
	}
	if spent[""] != 0 || len(spent) != total || consumed != 0 && consumed != total {
		c.t.Errorf("%d refreshes consumed %d refresh tokens (%d by the provider's other count)", total, len(spent), consumed)
	}
	c.t.Logf("the provider's books: %d logins, %d refreshes, as many refresh tokens; %d access tokens were asked about", logins, total, c.asked.Load())
}
