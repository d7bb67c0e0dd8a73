// Package settings reads the environment into one struct and reports every problem at once.
//
//	type Settings struct {
//		AMQPURL settings.Secret `env:"CUPLINE_AMQP_URL" required:"true" doc:"where the broker is"`
//		Drain   time.Duration   `env:"CUPLINE_DRAIN" default:"20s" doc:"..."`
//		Log     telemetry.LogSettings // nested structs are read as well
//	}
package settings

// Secret is a string that fmt, JSON and zap print as [redacted].
type Secret string

// Reveal is the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String is [redacted].
func (s Secret) String() string { return "[redacted]" }

// Load fills the struct that into points to from environ (as os.Environ gives it). A value may
// come from a file: NAME_FILE instead of NAME. If the struct, or one in it, has a method
// Check() error, it is asked last. The error lists every problem, one a line.
func Load(into any, environ []string) error { panic("soon") }

// Setting is one row of the reference.
type Setting struct {
	Name, Default, Doc string
	Required, Secret   bool
}

// Reference lists what Load reads into such a struct.
func Reference(of any) []Setting { panic("soon") }

// Markdown prints the reference as a table.
func Markdown(of any) string { panic("soon") }
