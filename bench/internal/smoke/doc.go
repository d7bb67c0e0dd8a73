// Package smoke runs the whole bench, small and short, as a test: it must not rot between the days when it is looked at.
package smoke
