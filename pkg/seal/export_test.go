package seal

// SealID is the id of the key that Seal uses.
func (b *Box) SealID() string { return b.slots()[0].id }
