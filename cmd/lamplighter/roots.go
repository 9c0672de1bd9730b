package main

// The image holds nothing but the program: no certificates to trust a provider by.
// Where the system has none, those of Mozilla are taken, as of the version in go.mod;
// a newer version is newer roots. Roots that are mounted, or named by SSL_CERT_FILE
// or SSL_CERT_DIR, are trusted instead, and not beside them.
import _ "golang.org/x/crypto/x509roots/fallback"
