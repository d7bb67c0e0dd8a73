package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFlags(t *testing.T) {
	t.Parallel()
	cfg, kept, err := parse([]string{"--cases", "plain,mqtt,latency-mqtt", "--seconds", "2.5", "--rates", "20,50%", "--json", "out.json",
		"--set", "CUPLINE_CONCURRENCY=512", "--set", "X=a=b", "--build", "-race", "--rabbitmq", "a = 1", "--rabbitmq", "b = 2"}, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Cases) != 3 || cfg.Length != 2500*time.Millisecond || len(cfg.Rates) != 2 || kept.json != "out.json" ||
		cfg.Settings["CUPLINE_CONCURRENCY"] != "512" || cfg.Settings["X"] != "a=b" || cfg.Build[0] != "-race" || len(cfg.Broker) != 2 ||
		!strings.HasSuffix(cfg.Folder, "/.run/bench") || cfg.Clients != 50 {
		t.Errorf("%+v, %+v", cfg, kept)
	}
	// What the smoke sets is the default of the other flags, wherever it stands.
	if cfg, _, err := parse([]string{"--clients", "3", "--smoke"}, t.Output()); err != nil || cfg.Clients != 3 || cfg.Length != 500*time.Millisecond {
		t.Errorf("%+v, %v", cfg, err)
	}
}

// What cannot be measured is told before anything is started.
func TestUsage(t *testing.T) {
	t.Parallel()
	for arguments, want := range map[string]string{
		"--cases=warp": `there is no case "warp"`, "--seconds=soon": "invalid", "mqtt": "Cases go into --cases", "--set=x": "must be NAME=VALUE",
		"--baseline=/nowhere/at/all": "no such file", "--members=two": `"two" is no number`, "--storm=1": "the storm is 1",
		"--rates=x": `rate "x"`, "--cases=latency-mqtt": "needs the case mqtt",
	} {
		var said strings.Builder
		if code := run(context.Background(), []string{arguments}, t.Output(), &said); code != exitUsage || !strings.Contains(said.String(), want) {
			t.Errorf("%s: exit code %d, said %s", arguments, code, said.String())
		}
	}
	var said strings.Builder
	if code := run(context.Background(), []string{"--help"}, t.Output(), &said); code != 0 || !strings.Contains(said.String(), "latency-mqtt") {
		t.Errorf("help: exit code %d, said %s", code, said.String())
	}
}
