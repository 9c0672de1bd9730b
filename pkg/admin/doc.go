// Package admin is the operator's listener: /metrics, /livez and /readyz. It
// shows nothing of a user and belongs on loopback or a pod network.
package admin
