package packages

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// System is the operating system that this machine runs, as far as choosing packages needs to know it.
type System struct {
	// ID is os-release's ID in lower case: "debian", "ubuntu".
	ID string
	// Version is os-release's VERSION_ID, "12" or "24.04"; empty on Debian testing and unstable.
	Version string
	// Name is what a person calls it: os-release's PRETTY_NAME.
	Name string
}

// oldest is the first release of each known distribution whose packages are new enough.
var oldest = map[string]float64{"debian": 12, "ubuntu": 24.04}

// Recognise reads /etc/os-release. The error says that the file is missing or names no system.
func Recognise() (System, error) {
	file, err := os.Open("/etc/os-release")
	if err != nil {
		return System{}, fmt.Errorf("recognise this system: %w", err)
	}
	defer func() { _ = file.Close() }()
	return parseSystem(file)
}

// Supported reports whether [Ensure] knows how to install packages on this system.
func (s System) Supported() bool {
	first, known := oldest[s.ID]
	if !known {
		return false
	}
	if s.Version == "" {
		return s.ID == "debian"
	}
	version, err := strconv.ParseFloat(s.Version, 64)
	return err == nil && version >= first
}

// parseSystem reads the os-release format: NAME=value lines, the value possibly quoted.
func parseSystem(r io.Reader) (System, error) {
	var system System
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		name, value, found := strings.Cut(strings.TrimSpace(lines.Text()), "=")
		if !found || strings.HasPrefix(name, "#") {
			continue
		}
		value = strings.Trim(value, `"'`)
		switch name {
		case "ID":
			system.ID = strings.ToLower(value)
		case "VERSION_ID":
			system.Version = value
		case "PRETTY_NAME":
			system.Name = value
		}
	}
	if err := lines.Err(); err != nil {
		return System{}, fmt.Errorf("recognise this system: read os-release: %w", err)
	}
	if system.ID == "" {
		return System{}, fmt.Errorf("recognise this system: os-release has no ID line")
	}
	if system.Name == "" {
		system.Name = strings.TrimSpace(system.ID + " " + system.Version)
	}
	return system, nil
}
