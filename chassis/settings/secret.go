package settings

import "fmt"

// redacted is what a secret looks like everywhere but in Reveal.
const redacted = "[redacted]"

// Secret is a string that fmt, JSON, text encoders and zap print as [redacted]; an empty
// one as nothing.
type Secret string

// Reveal is the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String is [redacted], or empty.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// Format keeps every verb of fmt from showing it, %q, %x and %#v included.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, s.String()) }

// MarshalText is [redacted], or empty; JSON and zap use it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
