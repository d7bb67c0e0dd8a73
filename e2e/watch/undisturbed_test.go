package watch_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cupline "github.com/cupline/cupline/clients/go"
)

// TestWhatWatchesChangesNothingForClients has all that could go wrong with it go wrong at
// once: traces that nobody takes, refused at once or never answered, a log that cannot be written, a scrape every 100 ms.
func TestWhatWatchesChangesNothingForClients(t *testing.T) {
	n := newTenant(t)
	services := []string{"api", "dispatcher-0", "pusher-0"}
	silent, err := net.Listen("tcp", "127.0.0.1:0") // it accepts nobody, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	dark := map[string]string{"OTEL_TRACES_SAMPLER_ARG": "1", "CUPLINE_LOG_LEVEL": "debug"}
	endpoints := map[string]string{"api": "http://127.0.0.1:9", "dispatcher-0": "http://" + silent.Addr().String(), "pusher-0": "http://" + silent.Addr().String()}
	for _, name := range services {
		if err := site.End(bounded(t), name); err != nil {
			t.Fatal(err)
		}
		// /dev/full takes nothing: every write to it fails as on a disk that is full.
		log := filepath.Join(site.Folder(), "log", name+".log")
		if err := os.Rename(log, log+".before"); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("/dev/full", log); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := os.Rename(log+".before", log); err != nil {
				t.Error(err)
			}
		})
		env := map[string]string{"CUPLINE_FIGURES_EVERY": "1s", "CUPLINE_HTTP_ALLOWED_NETWORKS": "127.0.0.0/8", "CUPLINE_SLOT": name}
		env["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoints[name]
		for variable, value := range dark {
			env[variable] = value
		}
		if _, err := site.Run(bounded(t), name, strings.TrimSuffix(name, "-0"), env); err != nil {
			t.Fatal(err)
		}
	}
	scraped := make(chan int, 1)
	stop, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { scraped <- scrapeOften(stop) }()
	arrivals := n.listen(t)
	const commands = 300
	sent := map[string]bool{}
	for i := range commands {
		accepted, err := n.client.Send(bounded(t), lamp, "on", map[string]int{"n": i}, cupline.SendOptions{})
		if err != nil {
			t.Fatal(err)
		}
		sent[accepted.CommandID] = true
	}
	for command, times := range take(t, arrivals, commands) {
		if !sent[command] || times != 1 {
			t.Errorf("outcome of %s: %d times, sent %t", command, times, sent[command])
		}
	}
	eventually(t, "spans are lost, and counted", func() bool {
		return sum(t, "cupline_trace_spans_total", `result="failed"`) > 0
	})
	cancel()
	if times := <-scraped; times == 0 {
		t.Error("nothing was scraped")
	}
	if sum(t, "cupline_trace_spans_total", `result="exported"`) != 0 {
		t.Error("somebody took spans")
	}
}

// scrapeOften scrapes every service each 100 ms until ctx ends, and returns how often it did.
func scrapeOften(ctx context.Context) (times int) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return times
		}
		for _, name := range []string{"api", "dispatcher-0", "pusher-0"} {
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+site.Service(name).Internal+"/metrics", nil)
			if err != nil {
				return times
			}
			if answer, err := http.DefaultClient.Do(request); err == nil {
				_ = answer.Body.Close()
				times++
			}
		}
	}
}
