// Package profile takes CPU profiles of services while they are measured.
package profile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// most bounds one profile, in bytes; a usual one has some 100 KiB.
const most = 64 << 20

// CPU takes a CPU profile of every service at the same time, and writes it to folder/NAME-SERVICE.pprof. Internal are
// the services' internal ports, host:port by service; their setting CUPLINE_PROFILES must be on. Length is rounded to
// seconds, one at least.
func CPU(ctx context.Context, folder, name string, internal map[string]string, length time.Duration) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("make the folder for profiles: %w", err)
	}
	seconds := max(int(length.Round(time.Second)/time.Second), 1)
	var (
		all    sync.WaitGroup
		mu     sync.Mutex
		failed []error
	)
	for service, address := range internal {
		all.Go(func() {
			url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", address, seconds)
			if err := fetch(ctx, url, filepath.Join(folder, name+"-"+service+".pprof")); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, fmt.Errorf("profile %s: %w", service, err))
			}
		})
	}
	all.Wait()
	return errors.Join(failed...)
}

func fetch(ctx context.Context, url, file string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(io.LimitReader(response.Body, most))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the service answered %s", response.Status)
	}
	return os.WriteFile(file, content, 0o644)
}
