// Package replicas holds lamplighters that share one Redis to what one alone
// promises: one refresh, whoever asks where, and a logout that is final on all.
package replicas
