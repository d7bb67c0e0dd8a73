package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/cupline/cupline/e2e/faults/schedule"
)

const (
	// diskSize of a small disk, in bytes: a run needs a tenth of it, the write-ahead log half.
	diskSize = 256 << 20
	// walSize is what the write-ahead log may grow to between checkpoints, as Postgres' setting.
	walSize = "max_wal_size = '96MB'"
	// fillBytes are written at a time to fill it.
	fillBytes = 1 << 20
)

// disk is a small one of the database's; nil where none can be mounted.
type disk struct{ folder string }

// mountDisks mounts two small disks, and moves the tables to one and the write-ahead log to the other. Only root can;
// without it there are no such disks, and no error.
func (s *site) mountDisks(ctx context.Context) error {
	if os.Geteuid() != 0 {
		return nil
	}
	data, err := s.dataFolder(ctx)
	if err != nil {
		return err
	}
	if s.disk, err = mount(data, "small-disk"); err != nil || s.disk == nil {
		return err
	}
	tables := filepath.Join(s.disk.folder, "inside")
	err = s.administer(ctx, fmt.Sprintf("create tablespace small location '%s'", tables),
		"alter table all in tablespace pg_default set tablespace small", "alter index all in tablespace pg_default set tablespace small")
	if err != nil {
		return err
	}
	if s.wal, err = mount(data, "small-log"); err != nil || s.wal == nil {
		return err
	}
	return s.moveLog(ctx, filepath.Join(data, "pg_wal"), filepath.Join(s.wal.folder, "inside"))
}

// mount a small disk beside the database's own files, where its account may go, with a folder "inside" of that account.
func mount(data, name string) (*disk, error) {
	owned, err := os.Stat(data)
	if err != nil {
		return nil, fmt.Errorf("mount a small disk: %w", err)
	}
	d := &disk{folder: filepath.Join(filepath.Dir(data), name)}
	if err := os.MkdirAll(d.folder, 0o755); err != nil {
		return nil, fmt.Errorf("mount a small disk: %w", err)
	}
	if err := syscall.Mount("tmpfs", d.folder, "tmpfs", 0, fmt.Sprintf("size=%d", diskSize)); errors.Is(err, syscall.EPERM) {
		return nil, nil //nolint:nilnil // root of a container that may not: there is no disk, and nothing is wrong
	} else if err != nil {
		return nil, fmt.Errorf("mount a small disk: %w", err)
	}
	inside := filepath.Join(d.folder, "inside")
	owner := owned.Sys().(*syscall.Stat_t) //nolint:forcetypeassert // what it is on Linux
	if err := errors.Join(os.Mkdir(inside, 0o700), os.Chown(inside, int(owner.Uid), int(owner.Gid))); err != nil {
		return d, fmt.Errorf("mount a small disk: %w", err)
	}
	return d, nil
}

// moveLog moves the write-ahead log, while the database is stopped.
func (s *site) moveLog(ctx context.Context, from, to string) error {
	if err := s.Database.Stop(ctx); err != nil {
		return err
	}
	if said, err := exec.CommandContext(ctx, "cp", "-a", from+"/.", to).CombinedOutput(); err != nil {
		return fmt.Errorf("move the write-ahead log: %w: %s", err, said)
	}
	if err := errors.Join(os.RemoveAll(from), os.Symlink(to, from)); err != nil {
		return fmt.Errorf("move the write-ahead log: %w", err)
	}
	return s.Database.Start(ctx)
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
	// Detached: who still looks into it keeps nobody from deleting the folder.
	if err := syscall.Unmount(d.folder, syscall.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount the small disk: %w", err)
	}
	return nil
}

// fillDisk leaves no room on the disk of the tables.
func (s *site) fillDisk(ctx context.Context, f schedule.Fault) error {
	empty, err := s.disk.fill()
	if err != nil {
		return err
	}
	pause(ctx, f.For)
	return empty()
}

// fillLog leaves no room on the disk of the write-ahead log: the database ends itself, and is started again once there is
// room, as whoever supervises it would.
func (s *site) fillLog(ctx context.Context, f schedule.Fault) error {
	whole := context.WithoutCancel(ctx)
	empty, err := s.wal.fill()
	if err != nil {
		return err
	}
	ending, cancel := context.WithTimeout(ctx, f.For)
	defer cancel()
	for s.Database.Running() && pause(ending, look/10) {
		// The segments that are there are soon used up; that it has ended meanwhile is what is waited for.
		_ = s.administer(ending, "select pg_logical_emit_message(false, 'faults', repeat('x', 8000000))")
	}
	ended := !s.Database.Running()
	<-ending.Done()
	if err := errors.Join(empty(), s.Database.Kill(), s.Database.Start(whole)); err != nil || ended {
		return err
	}
	return fmt.Errorf("%w: the database had room for its log", errNotMet)
}

// fill leaves no room, until the function that is returned is called.
func (d *disk) fill() (empty func() error, err error) {
	path := filepath.Join(d.folder, "filler")
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("fill the disk: %w", err)
	}
	empty = func() error { return errors.Join(file.Close(), os.Remove(path)) }
	for size := fillBytes; size > 0; { // then smaller pieces, to the last page
		if _, err = file.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 16
		} else if err != nil {
			return nil, errors.Join(fmt.Errorf("fill the disk: %w", err), empty())
		}
	}
	return empty, nil
}
