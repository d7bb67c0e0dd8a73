package packages

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ErrMissing is wrapped by the errors of [FindRabbitMQ] and [FindPostgres] when the program is not installed at all.
var ErrMissing = errors.New("not installed")

// RabbitMQ is an installed broker.
type RabbitMQ struct {
	// Version is the broker's version, for instance 3.10.8.
	Version Version
	// Server is the script that runs the broker in the foreground as whoever calls it, unlike the wrapper in /usr/sbin.
	Server string
	// Control is rabbitmqctl beside Server, for what has no quicker way: the caller's HOME must hold the node's cookie.
	Control string
}

// Version is a program's version; zero where a part is not given.
type Version struct {
	// Major, Minor and Patch are its first three numbers.
	Major, Minor, Patch int
}

// OldestRabbitMQ is the first release whose quorum queues can expire messages and dead-letter at least once.
var OldestRabbitMQ = Version{Major: 3, Minor: 10}

// String is the version in dots: 3.10.8.
func (v Version) String() string {
	return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch)
}

// AtLeast reports whether v is the release major.minor or a later one.
func (v Version) AtLeast(major, minor int) bool {
	return v.Major > major || v.Major == major && v.Minor >= minor
}

// FindRabbitMQ finds the installed broker without running it (a look at folder names; rabbitmqctl would cost seconds).
// The error wraps [ErrMissing] when there is none, and says what to do when it is older than [OldestRabbitMQ].
func FindRabbitMQ() (RabbitMQ, error) {
	return findRabbitMQ("/usr/lib/rabbitmq")
}

func findRabbitMQ(root string) (RabbitMQ, error) {
	found := RabbitMQ{
		Server:  filepath.Join(root, "bin", "rabbitmq-server"),
		Control: filepath.Join(root, "bin", "rabbitmqctl"),
	}
	if _, err := os.Stat(found.Server); err != nil {
		return RabbitMQ{}, fmt.Errorf("find RabbitMQ: %s: %w", found.Server, ErrMissing)
	}
	folders, err := filepath.Glob(filepath.Join(root, "lib", "rabbitmq_server-*"))
	if err != nil {
		return RabbitMQ{}, fmt.Errorf("find RabbitMQ: %w", err)
	}
	for _, folder := range folders {
		version, err := ParseVersion(strings.TrimPrefix(filepath.Base(folder), "rabbitmq_server-"))
		if err == nil && (version.Major > found.Version.Major ||
			version.Major == found.Version.Major && version.Minor >= found.Version.Minor) {
			found.Version = version
		}
	}
	if found.Version == (Version{}) {
		return RabbitMQ{}, fmt.Errorf("find RabbitMQ: %s exists, but no %s/lib/rabbitmq_server-VERSION: "+
			"reinstall the package rabbitmq-server", found.Server, root)
	}
	return found, tooOldRabbitMQ(found.Version)
}

// tooOldRabbitMQ says why a release cannot be used, or nil.
func tooOldRabbitMQ(version Version) error {
	if version.AtLeast(OldestRabbitMQ.Major, OldestRabbitMQ.Minor) {
		return nil
	}
	return fmt.Errorf("RabbitMQ %s is too old: Cupline needs 3.10 or later, because older quorum queues neither "+
		"expire messages nor dead-letter at least once; upgrade rabbitmq-server", version)
}

// ParseVersion reads a version such as "3.10.8", "15.6" or Debian's "3.10.8-1.1+deb12u1"; what follows the numbers is
// ignored. The error quotes text that starts with no number.
func ParseVersion(text string) (Version, error) {
	text = text[strings.IndexByte(text, ':')+1:]
	if end := strings.IndexFunc(text, func(r rune) bool { return r != '.' && (r < '0' || r > '9') }); end >= 0 {
		text = text[:end]
	}
	var numbers [3]int
	for i, part := range strings.SplitN(text, ".", 4) {
		if i == 3 || part == "" && i > 0 {
			break
		}
		number, err := strconv.Atoi(part)
		if err != nil {
			return Version{}, fmt.Errorf("read the version %q: %w", text, err)
		}
		numbers[i] = number
	}
	return Version{Major: numbers[0], Minor: numbers[1], Patch: numbers[2]}, nil
}
