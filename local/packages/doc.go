// Package packages makes sure that the programs a private broker and a private database are made of are on this
// machine: it finds what is there, says what is missing, and installs it with the system's package manager. It never
// lets a package start a service or make a database cluster, and does nothing at all where nothing is missing.
package packages
