package config

// Files are those that c names and that are read: keys, secrets, certificates. The
// store's own is not among them.
func (c Config) Files() (names []string) {
	all := []string{c.Session.KeysFile, c.Provider.ClientSecretFile}
	if t := c.Listen.TLS; t != nil {
		all = append(all, t.CertFile, t.KeyFile)
	}
	for _, name := range all {
		if name != "" {
			names = append(names, name)
		}
	}
	return names
}
