// Package app puts one api process together: settings, the links to broker and database,
// the domain, and the ports, started in order and stopped in reverse.
package app
