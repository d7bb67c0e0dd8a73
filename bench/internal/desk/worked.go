package desk

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/cupline/cupline/chassis/postgres"
)

// work is how long a process of the database has had a processor.
type work struct {
	process int
	time    time.Duration
}

// worked asks the kernel (proc(5), schedstat) about the process behind a pool of one connection; false where the database is not on
// this machine.
func worked(ctx context.Context, pool *postgres.Pool) (w work, known bool) {
	if pool.Config().MaxConns != 1 || pool.QueryRow(ctx, "select pg_backend_pid()").Scan(&w.process) != nil {
		return w, false
	}
	folder := fmt.Sprintf("/proc/%d/", w.process)
	if name, err := os.ReadFile(folder + "comm"); err != nil || strings.TrimSpace(string(name)) != "postgres" {
		return w, false
	}
	figures, err := os.ReadFile(folder + "schedstat")
	if err != nil {
		return w, false
	}
	first, _, _ := strings.Cut(string(figures), " ")
	nanoseconds, err := strconv.ParseInt(first, 10, 64)
	w.time = time.Duration(nanoseconds)
	return w, err == nil
}
