// Package place finds a folder in which a service can keep its files. A service that must not run as root runs as a
// user of its own, and that user may be unable to enter the checkout (below /root, say). This is tried, not guessed,
// and where it fails the files live under /var/lib/cupline, with a symbolic link in the checkout's place.
package place

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/cupline/cupline/local/process"
)

// fallback is where files go that cannot stay in the checkout; the system's folder for the state of programs.
const fallback = "/var/lib/cupline"

// workName is what a Work folder is called in its Path.
const workName = "work"

// Folder is where one service keeps its files.
type Folder struct {
	// Path is the service's folder, with no symbolic link in it. It belongs to the caller: what the service's own
	// user need not read is kept here.
	Path string
	// Work is a folder within Path that belongs to the user that the service runs as, closed to others.
	Work string
}

// Prepare makes base/name, or finds it where an earlier run put it, with a Work folder that the account can really
// work in. When the account cannot reach base, the folder is made under /var/lib/cupline and base/name becomes a
// symbolic link to it. The error tells what stands in the way: most often files of another user's run.
func Prepare(base, name string, account process.Account) (Folder, error) {
	base, err := filepath.Abs(base)
	if err == nil {
		err = MakeOpen(base)
	}
	if err != nil {
		return Folder{}, fmt.Errorf("prepare a folder for %s: %w", name, err)
	}
	path := filepath.Join(base, name)
	if target, err := os.Readlink(path); err == nil {
		return settle(target, account)
	}
	folder, err := settle(path, account)
	if err == nil || account.UID == os.Geteuid() || !errors.Is(err, errUnreachable) {
		return folder, err
	}
	// Only the empty folders made just now: data of an earlier run, when the user could still get here, stays.
	if err := errors.Join(os.Remove(filepath.Join(path, workName)), os.Remove(path)); err != nil {
		return Folder{}, fmt.Errorf("prepare a folder for %s: the user %s can no longer reach %s, which holds its files; "+
			"let it in (chmod o+x on the folders above), or delete them: %w", name, account.Name, path, err)
	}
	return elsewhere(base, name, account)
}

// Find returns the folder that Prepare made for base/name, without making anything. The error wraps os.ErrNotExist when
// there is none.
func Find(base, name string) (Folder, error) {
	path, err := filepath.Abs(filepath.Join(base, name))
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return Folder{}, fmt.Errorf("find the folder of %s: %w", name, err)
	}
	return Folder{Path: path, Work: filepath.Join(path, workName)}, nil
}

// Remove deletes base/name with all that is in it, wherever Prepare put it. It is not an error that it is not there.
func Remove(base, name string) error {
	base, err := filepath.Abs(base)
	if err != nil {
		return fmt.Errorf("delete the folder of %s: %w", name, err)
	}
	path := filepath.Join(base, name)
	if target, err := os.Readlink(path); err == nil {
		if filepath.Dir(target) != elsewhereOf(base) {
			return fmt.Errorf("delete %s: it is a symbolic link to %s, which cupline did not make", path, target)
		}
		if err := os.RemoveAll(target); err != nil {
			return fmt.Errorf("delete the folder of %s: %w", name, err)
		}
		// The last service to go takes the folder with it; others still in it keep it.
		_ = os.Remove(filepath.Dir(target))
		_ = os.Remove(fallback)
	}
	if err := os.RemoveAll(path); err != nil {
		return fmt.Errorf("delete the folder of %s: %w", name, err)
	}
	return nil
}

// elsewhereOf is the folder under /var/lib/cupline that stands in for base; distinct for each base.
func elsewhereOf(base string) string {
	sum := sha256.Sum256([]byte(base))
	return filepath.Join(fallback, hex.EncodeToString(sum[:8]))
}

func elsewhere(base, name string, account process.Account) (Folder, error) {
	home := elsewhereOf(base)
	var err error
	for range 10 { // the last service of another base may just take the folder above it away
		if err = MakeOpen(home); !errors.Is(err, os.ErrNotExist) {
			break
		}
	}
	if err != nil {
		return Folder{}, fmt.Errorf("prepare a folder for %s, as %s cannot enter %s: %w", name, account.Name, base, err)
	}
	target := filepath.Join(home, name)
	folder, err := settle(target, account)
	if err != nil {
		return Folder{}, err
	}
	if err := os.Symlink(target, filepath.Join(base, name)); err != nil {
		return Folder{}, fmt.Errorf("prepare a folder for %s: note in %s where it is: %w", name, base, err)
	}
	return folder, nil
}

// errUnreachable says that the account tried to use its folder and could not.
var errUnreachable = errors.New("the user cannot work there")

// settle makes path and its work folder, and has the account try the latter.
func settle(path string, account process.Account) (Folder, error) {
	if err := MakeOpen(path); err != nil {
		return Folder{}, fmt.Errorf("prepare a folder: %w", err)
	}
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return Folder{}, fmt.Errorf("prepare a folder: %w", err)
	}
	folder := Folder{Path: resolved, Work: filepath.Join(resolved, workName)}
	if err := makeWork(folder.Work, account); err != nil {
		return Folder{}, err
	}
	return folder, try(folder.Work, account)
}

// makeWork makes the work folder; one that is there must be the account's own.
func makeWork(path string, account process.Account) error {
	err := os.Mkdir(path, 0o700)
	if err == nil {
		return account.Own(path)
	}
	if !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("prepare a folder: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("prepare a folder: %w", err)
	}
	owner := int(info.Sys().(*syscall.Stat_t).Uid)
	if owner == 0 && account.UID != 0 {
		return account.Own(path) // a run that was killed between making it and giving it away
	}
	if owner != account.UID {
		return fmt.Errorf("prepare a folder: %s belongs to user number %d, and would be used by %s (%d): "+
			"run as the user that ran here before, or delete it", path, owner, account.Name, account.UID)
	}
	return nil
}

// try has the account make and delete a file in the folder.
func try(path string, account process.Account) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	const script = `cd "$1" && : >.trial && rm -f .trial`
	trial := exec.CommandContext(ctx, "/bin/sh", "-c", script, "trial", path)
	trial.Dir = "/"
	trial.SysProcAttr = account.Attributes()
	if answer, err := trial.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s as %s: %w: %s", errUnreachable, path, account.Name, err, answer)
	}
	return nil
}

// MakeOpen makes a folder and those above it so that other users may enter it, whatever the umask. Folders that were
// there are left as they are.
func MakeOpen(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	if err := MakeOpen(filepath.Dir(path)); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return os.Chmod(path, 0o755)
}
