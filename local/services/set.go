package services

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/cupline/cupline/local/ports"
	"github.com/cupline/cupline/local/process"
)

// Set is a group of services that share programs, a folder and an environment.
type Set struct {
	// Programs is the folder that [Build] filled.
	Programs string
	// Folder takes logs (log/NAME.log) and pid files (pid/NAME).
	Folder string
	// Env is what every service gets; a service's own wins.
	Env map[string]string
	// Accounts are the services' own users on the broker: each gets its own in place of whatever user AMQP_URL and
	// RABBITMQ_MANAGEMENT_URL name. With nil these are left as they are.
	Accounts *Accounts
}

// Spec is one service to start.
type Spec struct {
	// Name is unique in the set, and that of its log.
	Name string
	// Program is the file below Set.Programs, or below Programs where that is not empty.
	Program  string
	Programs string
	Args     []string
	Env      map[string]string
	// Ports are the public and the internal port. The caller keeps them reserved for as long as anybody looks for the service
	// there, also while it is not running: others have been told. Nil is for a program that listens on none.
	Ports *ports.Reservation
}

// Service is a process of Cupline's own.
type Service struct {
	*process.Process
	// Public and Internal are addresses (127.0.0.1:port), empty for a program without ports.
	Public, Internal string
	// Log is the file with its output.
	Log string
}

// Start runs the service; it returns as soon as the process runs, see [Service.WaitReady].
func (s Set) Start(spec Spec) (*Service, error) {
	service := &Service{Log: filepath.Join(s.Folder, "log", spec.Name+".log")}
	env := map[string]string{"PATH": os.Getenv("PATH"), "HOME": os.Getenv("HOME")}
	maps.Copy(env, s.Env)
	if spec.Ports != nil {
		service.Public, service.Internal = ports.Address(spec.Ports.Ports[0]), ports.Address(spec.Ports.Ports[1])
		env["CUPLINE_LISTEN"], env["CUPLINE_INTERNAL_ADDR"] = service.Public, service.Internal
	}
	maps.Copy(env, spec.Env)
	if s.Accounts != nil {
		if err := s.Accounts.enter(spec.Program, env); err != nil {
			return nil, fmt.Errorf("start %s: %w", spec.Name, err)
		}
	}
	for _, folder := range []string{"log", "pid"} {
		if err := os.MkdirAll(filepath.Join(s.Folder, folder), 0o755); err != nil {
			return nil, fmt.Errorf("start %s: %w", spec.Name, err)
		}
	}
	started, err := process.Start(process.Spec{
		Name: spec.Name, Path: filepath.Join(cmp.Or(spec.Programs, s.Programs), spec.Program), Args: spec.Args,
		Env: assignments(env), Dir: s.Folder, Log: service.Log,
		PidFile: s.pidFile(spec.Name), Account: process.Self(),
	})
	if err != nil {
		return nil, err
	}
	service.Process = started
	return service, nil
}

// End stops what an earlier run of that name left behind; nothing there is no error.
func (s Set) End(ctx context.Context, name string, grace time.Duration) error {
	return process.End(ctx, s.pidFile(name), syscall.SIGTERM, grace)
}

func (s Set) pidFile(name string) string { return filepath.Join(s.Folder, "pid", name) }

func assignments(env map[string]string) []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}

// WaitReady returns when /readyz answers 200. The error carries what it said last, or
// the end of the log when the process ended.
func (s *Service) WaitReady(ctx context.Context) error {
	err := s.Ready(ctx, func(ctx context.Context) error {
		return ask(ctx, "http://"+s.Internal+"/readyz")
	})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, process.Tail(s.Log))
	}
	return nil
}

func ask(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		said := make([]byte, 2000)
		n, _ := answer.Body.Read(said)
		return fmt.Errorf("%s answers %s: %s", url, answer.Status, said[:n])
	}
	return nil
}
