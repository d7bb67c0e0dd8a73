package main

import (
	"strings"
	"testing"
)

func TestWhatTheCommandLineSays(t *testing.T) {
	t.Parallel()
	enough := []string{"AMQP_URL=amqp://localhost", "DATABASE_URL=postgres://localhost", "CUPLINE_CONCURRENCY=7"}
	for name, test := range map[string]struct {
		args    []string
		environ []string
		out     string // part of the output
		problem string // part of the error; empty for none
	}{
		"the settings":              {args: []string{"--settings"}, out: "CUPLINE_CONCURRENCY"},
		"help":                      {args: []string{"--help"}},
		"an unknown flag":           {args: []string{"--nonsense"}, environ: enough, problem: "nonsense"},
		"an argument":               {args: []string{"work"}, environ: enough, problem: `unexpected argument "work"`},
		"nothing":                   {problem: "DATABASE_URL is not set"},
		"a flag over its variable":  {args: []string{"--concurrency=0"}, environ: enough, problem: "CUPLINE_CONCURRENCY is 0"},
		"roles by flag":             {args: []string{"--roles", "sleep"}, environ: enough, problem: `"sleep"`},
		"lanes by flag":             {args: []string{"--lanes", "a,a"}, environ: enough, problem: `"a" twice`},
		"a log level that is wrong": {environ: append(enough, "CUPLINE_LOG_LEVEL=loud"), problem: `"loud"`},
	} {
		var out, logs strings.Builder
		err := run(test.args, test.environ, &out, &logs)
		switch {
		case test.problem == "" && err != nil, test.problem != "" && (err == nil || !strings.Contains(err.Error(), test.problem)):
			t.Errorf("%s: %v", name, err)
		case !strings.Contains(out.String(), test.out):
			t.Errorf("%s: printed %q", name, out.String())
		}
	}
}
