package process

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// Account is the user that a process runs as.
type Account struct {
	// Name is the user's log-in name.
	Name string
	// UID and GID are the user's and its primary group's numbers.
	UID, GID int
}

// Unprivileged returns the account for programs that refuse to run as root, or should not: the named user when the
// caller is root, and the caller itself otherwise. The error says that root has no such user.
func Unprivileged(name string) (Account, error) {
	if os.Geteuid() != 0 {
		return Self(), nil
	}
	found, err := user.Lookup(name)
	if err != nil {
		return Account{}, fmt.Errorf("run as the user %s: %w; its package makes it, so reinstall that", name, err)
	}
	uid, err := strconv.Atoi(found.Uid)
	if err != nil {
		return Account{}, fmt.Errorf("run as the user %s: its number is %q: %w", name, found.Uid, err)
	}
	gid, err := strconv.Atoi(found.Gid)
	if err != nil {
		return Account{}, fmt.Errorf("run as the user %s: its group's number is %q: %w", name, found.Gid, err)
	}
	return Account{Name: name, UID: uid, GID: gid}, nil
}

// Self is the caller's own account.
func Self() Account {
	account := Account{UID: os.Geteuid(), GID: os.Getegid(), Name: strconv.Itoa(os.Geteuid())}
	if me, err := user.Current(); err == nil {
		account.Name = me.Username
	}
	return account
}

// Attributes are what makes a child run as the account; they change nothing when the caller is that user.
func (a Account) Attributes() *syscall.SysProcAttr {
	if a.UID == os.Geteuid() {
		return &syscall.SysProcAttr{}
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(a.UID), Gid: uint32(a.GID)}}
}

// Own gives a file or folder to the account. It does nothing when the caller is that user.
func (a Account) Own(path string) error {
	if a.UID == os.Geteuid() {
		return nil
	}
	if err := os.Lchown(path, a.UID, a.GID); err != nil {
		return fmt.Errorf("give %s to the user %s: %w", path, a.Name, err)
	}
	return nil
}
