package suite

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cupline/cupline/local/services"
	"github.com/cupline/cupline/verify/checker"
	"github.com/cupline/cupline/verify/history"
)

// pools is how many connections the services' pools may grow to, whatever they had at first.
const pools = 100

// censusLimit is how long what is left over may take to go: past the idle time of connections.
const censusLimit = 20 * time.Second

// census counts what may leak: goroutines, files and sockets of each service, connections of
// the broker and the database.
func (s *site) census(ctx context.Context) (map[string]int, error) {
	counts := map[string]int{}
	for _, p := range s.parts {
		if p.program == services.Agent {
			continue
		}
		if err := s.figures(ctx, p.name, counts); err != nil {
			return nil, fmt.Errorf("count what %s holds: %w", p.name, err)
		}
	}
	var connections []struct{}
	if err := s.manage(ctx, "/api/connections", &connections); err != nil {
		return nil, err
	}
	counts["connections of the broker"] = len(connections)
	connection, err := s.superuser(ctx)
	if err != nil {
		return nil, err
	}
	defer connection.Close(ctx)
	var clients int
	err = connection.QueryRow(ctx, "select count(*) from pg_stat_activity where backend_type = 'client backend'").Scan(&clients)
	if err != nil {
		return nil, fmt.Errorf("count the database's connections: %w", err)
	}
	counts["connections of the database"] = max(clients, pools)
	return counts, nil
}

// figures reads those of one process from its metrics.
func (s *site) figures(ctx context.Context, name string, into map[string]int) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Service(name).Internal+"/metrics", nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		metric, value, _ := strings.Cut(lines.Text(), " ")
		what := map[string]string{"go_goroutines": "goroutines", "process_open_fds": "open files and sockets"}[metric]
		if what == "" {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return err
		}
		into[what+" of "+name] = int(n)
	}
	return nil
}

// compare counts again until nothing is left over, or it will not go, and notes what there is.
func (s *site) compare(ctx context.Context, log *history.Log) error {
	waiting, cancel := context.WithTimeout(ctx, censusLimit)
	defer cancel()
	for {
		now, err := s.census(ctx)
		if err != nil {
			return err
		}
		var found []history.Event
		for _, name := range slices.Sorted(maps.Keys(now)) {
			found = append(found, history.Event{Kind: history.Census, Name: name, Before: s.before[name], Count: now[name]})
		}
		if slices.ContainsFunc(found, checker.Leaked) && pause(waiting, look) {
			continue
		}
		for _, e := range found {
			log.Add(e)
		}
		return nil
	}
}
