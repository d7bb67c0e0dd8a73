// Package postgres runs a private Postgres on the loopback address: its own data, port and password in one folder,
// beside whatever clusters the machine has already and without touching them.
//
// The port and the password are chosen once and remembered in the folder, so that the server can be stopped and started
// again with its data. A server that a killed run left behind is stopped by the next [Start] in its folder, or used as
// it is through [Open].
package postgres
