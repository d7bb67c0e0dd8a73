// Package app puts a pusher together: settings in, a running process out. It is the only
// package here that knows all the others.
package app
