// Package desk measures what operators ask of a million dead letters, and what the answers' indexes cost the recorder
// that writes them.
package desk
