package postgres

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// Config says what server to run. The zero value of everything but Base will do.
type Config struct {
	// Base is the folder below which the server keeps its files, in Base/Name; made if need be.
	Base string
	// Name is the folder's name within Base; "postgres" when empty.
	Name string
	// NoSync leaves out waiting for the disk (fsync off), for tests: what is committed survives a kill of the server,
	// but not a crash of the machine.
	NoSync bool
	// Settings are further lines of postgresql.conf, "key = value" each, after those that this package writes.
	Settings []string
	// Progress gets a line for each step that takes time; none when nil.
	Progress io.Writer
}

// Superuser and Database are the names of the role that the server is made with, and of its database.
const (
	Superuser = "cupline"
	Database  = "cupline"
)

// complete is the configuration with its defaults filled in, or what is wrong with it.
func (c Config) complete() (Config, error) {
	if c.Base == "" {
		return Config{}, errors.New("run Postgres: the configuration names no base folder")
	}
	if c.Name == "" {
		c.Name = "postgres"
	}
	if strings.ContainsAny(c.Name, "/ ") || strings.HasPrefix(c.Name, ".") {
		return Config{}, fmt.Errorf("run Postgres: the folder's name %q must be one plain word", c.Name)
	}
	if c.Progress == nil {
		c.Progress = io.Discard
	}
	return c, nil
}

// say tells of progress; that it cannot be shown is no reason not to make any.
func (c Config) say(format string, values ...any) {
	_, _ = fmt.Fprintf(c.Progress, format+"\n", values...)
}
