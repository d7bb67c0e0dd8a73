package keys

import (
	"errors"
	"fmt"
	"os"

	"github.com/cupline/cupline/cli/internal/console"
)

// createInFile keeps a token in a file of its own that nobody else can read. The file is made first: a key whose token
// could not be kept would be of no use to anybody.
func createInFile(c *console.Console, path string, turn func() (created, error)) (err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("make the file for the token: %w", err)
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	made, err := turn()
	if err != nil {
		return err
	}
	if _, err := file.WriteString(made.Token + "\n"); err != nil {
		return fmt.Errorf("keep the token of key %s (revoke it): %w", made.ID, err)
	}
	c.Note("made key %s for client %s; its token is in %s", made.ID, made.Client, path)
	return nil
}
