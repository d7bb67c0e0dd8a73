package place

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/cupline/cupline/local/process"
)

// Write replaces a file by one that only the account may read, as a whole: no reader sees half of it, and what stood
// there is kept when writing fails.
func Write(path string, content []byte, account process.Account) error {
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.WriteFile(fresh, content, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := account.Own(fresh); err != nil {
		return err
	}
	if err := os.Rename(fresh, path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// memoryFile holds what a folder remembers of its instance, secrets included.
const memoryFile = "instance.json"

// Recall reads what [Folder.Remember] kept. The error wraps os.ErrNotExist when there is nothing yet.
func (f Folder) Recall(into any) error {
	path := f.Path + "/" + memoryFile
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read what is remembered in the folder: %w", err)
	}
	if err := json.Unmarshal(content, into); err != nil {
		return fmt.Errorf("read what is remembered in %s: %w; delete the folder to begin anew", path, err)
	}
	return nil
}

// Remember keeps a value in the folder for later runs, readable by its owner only.
func (f Folder) Remember(value any) error {
	content, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("remember in the folder %s: %w", f.Path, err)
	}
	return Write(f.Path+"/"+memoryFile, append(content, '\n'), process.Self())
}
