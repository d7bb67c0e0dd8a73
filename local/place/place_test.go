package place

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/cupline/cupline/local/process"
)

func TestPrepareFindRemove(t *testing.T) {
	base := filepath.Join(t.TempDir(), "a", ".run")
	if _, err := Find(base, "it"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Find before Prepare: %v", err)
	}
	folder, err := Prepare(base, "it", process.Self())
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(base, "it"); folder.Path != want {
		t.Errorf("Path = %s, want %s", folder.Path, want)
	}
	if info, err := os.Stat(folder.Work); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("Work: %v, %v", info, err)
	}
	kept := filepath.Join(folder.Work, "kept")
	if err := Write(kept, []byte("x"), process.Self()); err != nil {
		t.Fatal(err)
	}
	again, err := Prepare(base, "it", process.Self())
	if err != nil || again != folder {
		t.Errorf("Prepare again = %+v, %v; want %+v", again, err, folder)
	}
	if found, err := Find(base, "it"); err != nil || found != folder {
		t.Errorf("Find = %+v, %v; want %+v", found, err, folder)
	}
	if info, err := os.Stat(kept); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file in it: %v, %v", info, err)
	}
	for range 2 {
		if err := Remove(base, "it"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(folder.Path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after Remove: %v", err)
	}
}

func TestPrepareRefusesAnotherUsersFiles(t *testing.T) {
	base := t.TempDir()
	if _, err := Prepare(base, "it", process.Self()); err != nil {
		t.Fatal(err)
	}
	other := process.Account{Name: "somebody", UID: os.Geteuid() + 1, GID: os.Getegid()}
	if os.Geteuid() == 0 {
		// Root's own are given away; those of a third are not.
		if err := os.Chown(filepath.Join(base, "it", workName), 4242, 4242); err != nil {
			t.Fatal(err)
		}
	}
	if folder, err := Prepare(base, "it", other); err == nil {
		t.Errorf("Prepare = %+v for a folder of another user", folder)
	}
}

func TestRemoveLeavesForeignLinksAlone(t *testing.T) {
	base, other := t.TempDir(), t.TempDir()
	if err := os.Symlink(other, filepath.Join(base, "it")); err != nil {
		t.Fatal(err)
	}
	if err := Remove(base, "it"); err == nil {
		t.Error("Remove followed a symbolic link that it did not make")
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("the link's target is gone: %v", err)
	}
}

func TestMemory(t *testing.T) {
	folder := Folder{Path: t.TempDir()}
	var got map[string]int
	if err := folder.Recall(&got); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Recall of nothing: %v", err)
	}
	if err := folder.Remember(map[string]int{"port": 1}); err != nil {
		t.Fatal(err)
	}
	if err := folder.Recall(&got); err != nil || got["port"] != 1 {
		t.Errorf("Recall = %v, %v", got, err)
	}
	if info, err := os.Stat(filepath.Join(folder.Path, memoryFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
}

func TestTake(t *testing.T) {
	folder := t.TempDir()
	first, err := Take(folder)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Take(folder); !errors.Is(err, ErrLocked) {
		t.Errorf("a second Take: %v, want ErrLocked", err)
	}
	if err := first.Release(); err != nil {
		t.Fatal(err)
	}
	second, err := Take(folder)
	if err != nil {
		t.Fatalf("Take of a released folder: %v", err)
	}
	if err := errors.Join(second.Release(), second.Release()); err != nil {
		t.Error(err)
	}
}

// A folder that is deleted between opening its lock and locking it is not claimed.
func TestStill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if !still(path, file) {
		t.Error("the file is there")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if still(path, file) {
		t.Error("the file is gone")
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if still(path, file) {
		t.Error("another file stands there")
	}
}
