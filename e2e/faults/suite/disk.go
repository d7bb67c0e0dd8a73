package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/cupline/cupline/e2e/faults/schedule"
)

const (
	// diskSize of the small disk, in bytes: a run needs a tenth of it.
	diskSize = 256 << 20
	// fillBytes are written at a time to fill it.
	fillBytes = 1 << 20
)

// disk is a small one that the database's tables lie on; nil where none can be mounted.
type disk struct{ folder string }

// mountDisk mounts a small disk and moves the tables there. Only root can; without it there is
// no such disk, and no error.
func (s *site) mountDisk(ctx context.Context) error {
	if os.Geteuid() != 0 {
		return nil
	}
	// Beside the database's own files, where its account may go.
	data, err := s.dataFolder(ctx)
	if err != nil {
		return err
	}
	owned, err := os.Stat(data)
	if err != nil {
		return fmt.Errorf("mount a small disk: %w", err)
	}
	d := &disk{folder: filepath.Join(filepath.Dir(data), "small-disk")}
	if err := os.MkdirAll(d.folder, 0o755); err != nil {
		return fmt.Errorf("mount a small disk: %w", err)
	}
	if err := syscall.Mount("tmpfs", d.folder, "tmpfs", 0, fmt.Sprintf("size=%d", diskSize)); errors.Is(err, syscall.EPERM) {
		return nil // root of a container that may not
	} else if err != nil {
		return fmt.Errorf("mount a small disk: %w", err)
	}
	s.disk = d
	tables := filepath.Join(d.folder, "tables")
	if err := os.Mkdir(tables, 0o700); err != nil {
		return fmt.Errorf("mount a small disk: %w", err)
	}
	owner := owned.Sys().(*syscall.Stat_t) //nolint:forcetypeassert // what it is on Linux
	if err := os.Chown(tables, int(owner.Uid), int(owner.Gid)); err != nil {
		return fmt.Errorf("mount a small disk: %w", err)
	}
	return s.administer(ctx, fmt.Sprintf("create tablespace small location '%s'", tables),
		"alter table all in tablespace pg_default set tablespace small", "alter index all in tablespace pg_default set tablespace small")
}

// dataFolder is where the database keeps its files.
func (s *site) dataFolder(ctx context.Context) (folder string, err error) {
	connection, err := s.superuser(ctx)
	if err != nil {
		return "", err
	}
	defer connection.Close(ctx)
	if err := connection.QueryRow(ctx, "show data_directory").Scan(&folder); err != nil {
		return "", fmt.Errorf("ask the database for its folder: %w", err)
	}
	return folder, nil
}

// unmount the disk, when the database is gone.
func (d *disk) unmount() error {
	if err := syscall.Unmount(d.folder, 0); err != nil {
		return fmt.Errorf("unmount the small disk: %w", err)
	}
	return nil
}

// fillDisk leaves no room on the disk of the tables.
func (s *site) fillDisk(ctx context.Context, f schedule.Fault) error {
	path := filepath.Join(s.disk.folder, "filler")
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("fill the disk: %w", err)
	}
	for size := fillBytes; size > 0; { // then smaller pieces, to the last page
		if _, err = file.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 16
		} else if err != nil {
			break
		}
	}
	if err == nil || errors.Is(err, syscall.ENOSPC) {
		pause(ctx, f.For)
		err = nil
	}
	return errors.Join(err, file.Close(), os.Remove(path))
}
