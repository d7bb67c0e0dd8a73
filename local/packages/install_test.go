package packages

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// machine is a root folder with stand-ins for the package manager's programs, which the script finds first.
type machine struct {
	root, notes, bin string
}

// newMachine makes one whose apt-get notes what it sees of the policy, and then does as behaviour says.
func newMachine(t *testing.T, behaviour string) machine {
	t.Helper()
	m := machine{root: t.TempDir(), notes: filepath.Join(t.TempDir(), "notes"), bin: t.TempDir()}
	for _, folder := range []string{"usr/sbin", "etc", "usr/lib/systemd/system"} {
		if err := os.MkdirAll(filepath.Join(m.root, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, script := range map[string]string{
		"apt-get": `
			echo "apt-get $*" >>"$NOTES"
			case "$*" in *install*) ;; *) exit 0 ;; esac
			"$ROOT/usr/sbin/policy-rc.d" rabbitmq-server start; echo "policy $?" >>"$NOTES"
			grep create_main "$ROOT/etc/postgresql-common/createcluster.d/zz-cupline.conf" >>"$NOTES"
			: >"$ROOT/usr/lib/systemd/system/epmd.socket"
			` + behaviour,
		"apt-cache": `echo "  Candidate: ${CANDIDATE:-1.0}"`,
		"dpkg":      `exit 1`,
		"systemctl": `echo "systemctl $*" >>"$NOTES"`,
	} {
		m.program(t, name, script)
	}
	t.Setenv("PATH", m.bin+":"+os.Getenv("PATH"))
	t.Setenv("NOTES", m.notes)
	t.Setenv("ROOT", m.root)
	return m
}

// program puts a stand-in there, or another in its place.
func (m machine) program(t *testing.T, name, script string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(m.bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

func (m machine) policy() string { return filepath.Join(m.root, "usr/sbin/policy-rc.d") }

// install runs the script as Ensure does, but on the machine.
func (m machine) install(ctx context.Context, t *testing.T) (output string, err error) {
	t.Helper()
	var told strings.Builder
	need := Need{Name: "it", Packages: []string{"one", "two"}, Services: []string{"epmd.service", "epmd.socket"}}
	err = install(ctx, &told, []string{"/bin/sh", "-c"}, m.root, []Need{need})
	return told.String(), err
}

// saw is what the stand-ins noted.
func (m machine) saw(t *testing.T) string {
	t.Helper()
	notes, err := os.ReadFile(m.notes)
	if err != nil {
		t.Fatal(err)
	}
	return string(notes)
}

// wantClean fails unless nothing of the script's is left.
func (m machine) wantClean(t *testing.T) {
	t.Helper()
	for _, path := range []string{"usr/sbin/policy-rc.d.cupline-saved", "usr/sbin/policy-rc.d.cupline-new",
		"etc/postgresql-common"} {
		if _, err := os.Lstat(filepath.Join(m.root, path)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left (%v)", path, err)
		}
	}
}

func TestInstallHoldsServicesAndClusters(t *testing.T) {
	m := newMachine(t, "")
	if output, err := m.install(t.Context(), t); err != nil {
		t.Fatalf("install: %v\n%s", err, output)
	}
	notes := m.saw(t)
	for _, want := range []string{"install one two", "policy 101", "create_main_cluster = false",
		"systemctl --quiet disable epmd.socket"} {
		if !strings.Contains(notes, want) {
			t.Errorf("not seen during the installation: %q in\n%s", want, notes)
		}
	}
	if strings.Contains(notes, "epmd.service") {
		t.Errorf("a unit that no package brought was disabled:\n%s", notes)
	}
	if strings.Contains(notes, " update") {
		t.Errorf("the lists were updated without need:\n%s", notes)
	}
	if _, err := os.Lstat(m.policy()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a policy is left where there was none (%v)", err)
	}
	m.wantClean(t)
}

func TestInstallRestoresThePolicyThatWasThere(t *testing.T) {
	for name, behaviour := range map[string]string{"after success": "", "after failure": "exit 100"} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, behaviour)
			const own = "#!/bin/sh\nexit 0\n"
			if err := os.WriteFile(filepath.Join(m.root, "etc/policy"), []byte(own), 0o711); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("../../etc/policy", m.policy()); err != nil {
				t.Fatal(err)
			}
			_, err := m.install(t.Context(), t)
			if (err != nil) != (behaviour != "") {
				t.Errorf("install: %v", err)
			}
			if !strings.Contains(m.saw(t), "policy 101") {
				t.Errorf("services could have been started:\n%s", m.saw(t))
			}
			if target, err := os.Readlink(m.policy()); err != nil || target != "../../etc/policy" {
				t.Errorf("the policy's link is now %q (%v)", target, err)
			}
			if content, err := os.ReadFile(m.policy()); err != nil || string(content) != own {
				t.Errorf("the policy is now %q (%v)", content, err)
			}
			m.wantClean(t)
		})
	}
}

func TestInstallLeavesKnownUnitsAlone(t *testing.T) {
	m := newMachine(t, "")
	place(t, filepath.Join(m.root, "usr/lib/systemd/system/epmd.socket"))
	if output, err := m.install(t.Context(), t); err != nil {
		t.Fatalf("install: %v\n%s", err, output)
	}
	if strings.Contains(m.saw(t), "systemctl") {
		t.Errorf("a unit that was there before was touched:\n%s", m.saw(t))
	}
}

func TestInstallUpdatesTheListsOnce(t *testing.T) {
	t.Run("no candidate", func(t *testing.T) {
		m := newMachine(t, "")
		t.Setenv("CANDIDATE", "(none)")
		if output, err := m.install(t.Context(), t); err != nil {
			t.Fatalf("install: %v\n%s", err, output)
		}
		if n := strings.Count(m.saw(t), "apt-get -q update"); n != 1 {
			t.Errorf("%d updates:\n%s", n, m.saw(t))
		}
	})
	t.Run("stale lists", func(t *testing.T) {
		m := newMachine(t, `[ -e "$ROOT/once" ] || { : >"$ROOT/once"; exit 100; }`)
		if output, err := m.install(t.Context(), t); err != nil {
			t.Fatalf("install: %v\n%s", err, output)
		}
		if n := strings.Count(m.saw(t), "policy 101"); n != 2 {
			t.Errorf("%d attempts:\n%s", n, m.saw(t))
		}
		m.wantClean(t)
	})
}

func TestInstallInterrupted(t *testing.T) {
	m := newMachine(t, `echo begun >"$ROOT/fifo"; read -r go <"$ROOT/fifo"`)
	fifo := filepath.Join(m.root, "fifo")
	mkfifo(t, fifo)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { _, err := m.install(ctx, t); result <- err }()
	if _, err := os.ReadFile(fifo); err != nil { // returns once apt-get has begun
		t.Fatal(err)
	}
	cancel()
	// The package manager is let finish; the script ends then, and not with success.
	if err := os.WriteFile(fifo, []byte("go\n"), 0); err != nil {
		t.Fatal(err)
	}
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted install: %v, want context.Canceled", err)
	}
	if _, err := os.Lstat(m.policy()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a policy is left (%v)", err)
	}
	m.wantClean(t)
}

func TestInstallInterruptedAsItRestores(t *testing.T) {
	m := newMachine(t, "")
	m.program(t, "dpkg", `kill -TERM $PPID; exit 1`) // the script asks dpkg amid its restoring
	if _, err := m.install(t.Context(), t); err == nil {
		t.Error("an interrupted installation succeeded")
	}
	if _, err := os.Lstat(m.policy()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a policy is left (%v)", err)
	}
	m.wantClean(t)
}

func TestInstallRepairsWhatAKilledOneLeft(t *testing.T) {
	m := newMachine(t, `kill -9 $PPID; exit 1`)
	place(t, m.policy())
	if _, err := m.install(t.Context(), t); err == nil {
		t.Fatal("a killed installation succeeded")
	}
	if _, err := os.Lstat(m.policy() + ".cupline-saved"); err != nil {
		t.Fatalf("the test's own premise: %v", err)
	}
	next := newMachine(t, "")
	t.Setenv("ROOT", m.root)
	next.root = m.root
	if output, err := next.install(t.Context(), t); err != nil {
		t.Fatalf("install: %v\n%s", err, output)
	}
	if content, err := os.ReadFile(m.policy()); err != nil || string(content) != "#!/bin/sh\n" {
		t.Errorf("the policy is now %q (%v)", content, err)
	}
	next.wantClean(t)
}

func TestRootShell(t *testing.T) {
	debian := System{ID: "debian", Version: "12", Name: "Debian 12"}
	all := func(name string) (string, error) { return "/bin/" + name, nil }
	none := func(name string) (string, error) { return "", errors.New(name + " not found") }
	aptOnly := func(name string) (string, error) {
		if name == "apt-get" {
			return "/bin/apt-get", nil
		}
		return none(name)
	}
	for name, c := range map[string]struct {
		system System
		root   bool
		find   func(string) (string, error)
		want   string
		says   string
	}{
		"root":           {system: debian, root: true, find: aptOnly, want: "/bin/sh -c"},
		"sudo":           {system: debian, find: all, want: "/bin/sudo /bin/sh -c"},
		"neither":        {system: debian, find: aptOnly, says: "root or sudo"},
		"no apt-get":     {system: debian, root: true, find: none, says: "no apt-get"},
		"another system": {system: System{ID: "arch", Name: "Arch"}, root: true, find: all, says: "this is Arch"},
	} {
		t.Run(name, func(t *testing.T) {
			shell, err := rootShell(c.system, c.root, c.find)
			if strings.Join(shell, " ") != c.want || says(err) != (c.says != "") {
				t.Fatalf("rootShell = %v, %v; want %q", shell, err, c.want)
			}
			if err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want one with %q", err, c.says)
			}
		})
	}
	if hand := byHand([]Need{Broker(), Program("gcc")}); !strings.HasSuffix(hand, "gcc libc6-dev rabbitmq-server") {
		t.Errorf("byHand = %q", hand)
	}
}

func mkfifo(t *testing.T, path string) {
	t.Helper()
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
}
