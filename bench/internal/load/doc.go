// Package load is the platform's clients under measurement: many of them, each with a WebSocket for its outcomes, that
// post commands over HTTP and hold every outcome against what was accepted. A closed loop keeps a fixed number of
// commands under way and finds the ceiling; an open loop posts at a given rate whatever comes back, and counts latency
// from the moment that a command was due, so that a stall shows in all commands it held up (no coordinated omission).
package load
