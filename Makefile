# Two commands matter: `make up` runs Cupline, `make test` proves it. `make help` lists the rest.
MODULES := $(shell sed -n 's|^	\./||p' go.work)
TESTBED := .bin/testbed
BIN     := $(CURDIR)/.bin
BENCHTIME ?= 1x
COUNT     ?= 1
export GOFLAGS += -buildvcs=false

.DEFAULT_GOAL := help
.PHONY: help up reset test test-short test-install browser outcomes screenshots faults check fmt vet lint tidy modules bench bench-all bench-pair bench-smoke bench-micro bench-desk bench-settle bench-console tools fuzz vulncheck licences reliability rolling runbook

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

up: ## install what is missing and run Cupline on private instances in .run/; Ctrl-C stops it
	@go build -o .bin/cupline ./cli/cmd/cupline
	@.bin/cupline up $(UP)

reset: ## forget what make up keeps in .run/
	@go build -o .bin/cupline ./cli/cmd/cupline
	@.bin/cupline up --reset $(UP)

test: ## every test, race detector on, with a private broker and database
	@go build -o $(TESTBED) ./local/cmd/testbed
	@$(TESTBED) --install gcc,curl,wsdump,node,npm,mosquitto_pub,prometheus,ip -- go test -count 1 -race -timeout 14m work

browser: ## the console, the JavaScript client and its example in headless Chromium
	@go build -o $(TESTBED) ./local/cmd/testbed
	@$(TESTBED) --install gcc,node,npm,chromium install
	@env CUPLINE_TEST_BROWSER=InChromium go test -count 1 -v -timeout 20m ./e2e/js

outcomes: ## 10,000 outcomes (OUTCOMES=) through the JavaScript client, while the pusher is killed, lines are lost and keys end: each handled once
	@go build -o $(TESTBED) ./local/cmd/testbed
	@$(TESTBED) --install gcc,node,npm install
	@env CUPLINE_TEST_OUTCOMES=$(or $(OUTCOMES),10000) go test -count 1 -v -timeout 30m -run TestOnThePlatform ./e2e/js

screenshots: ## pictures of the console's pages and the dashboard, into docs/screenshots/
	@go build -o $(TESTBED) ./local/cmd/testbed
	@$(TESTBED) --install gcc,node,npm,chromium install
	@env CUPLINE_TEST_BROWSER=Screenshots go test -count 1 -v -timeout 10m ./e2e/js

test-short: ## the tests that need nothing running
	go test -short work

test-install: ## image, compose file, chart, rules, dashboards, and both demos run; builds Helm 3 and 4 once, into .bin/
	GOWORK=off go -C install test -count 1 -timeout 30m ./...

check: fmt vet modules lint ## the quick gates: format, vet, each module alone, lint

fmt:
	@test -z "$$(gofmt -l $(MODULES))" || { gofmt -l $(MODULES); echo 'run: gofmt -w .'; exit 1; }

vet:
	go vet work

# The workspace forgives an undeclared import, so each module is held to stand alone.
modules:
	@for m in $(MODULES); do \
	  (cd $$m && GOWORK=off go mod tidy -diff && GOWORK=off go build ./... && GOWORK=off go vet ./...) || { echo "module $$m does not stand alone; try: make tidy"; exit 1; }; \
	done
	go work sync
	git diff --exit-code -- '*go.mod' '*go.sum' go.work.sum

tidy: ## bring the modules' requirements in step with each other
	go work sync
	@for m in $(MODULES); do (cd $$m && GOWORK=off go mod tidy) || exit 1; done

lint: $(BIN)/golangci-lint
	$(BIN)/golangci-lint run $$(go list -f '{{.Dir}}/...' -m)
	cd install && GOWORK=off $(BIN)/golangci-lint run ./...

bench: ## throughput and latency through all parts, beside a bare pipeline and the stored baseline; BENCH= further flags
	go run ./bench/cmd/bench --html bench.html --json bench.json --baseline bench/baseline.json $(BENCH)

bench-all: ## the long cases, too: sockets and storms, pushing, mailboxes, scale, backlog, growth, start, the tests' time
	go run ./bench/cmd/bench --cases all,tests --html bench.html --json bench.json --baseline bench/baseline.json $(BENCH)

bench-pair: ## one thing against another, in turns: PAIR='--b "--set GOGC=400" -- --cases swift', or --a-checkout DIR for another build
	go run ./bench/cmd/pair $(PAIR)

bench-smoke: ## every case of the bench, small and short: whether it works
	go run ./bench/cmd/bench --smoke

bench-micro: ## the benchmarks beside the code, once each; BENCHTIME=1s COUNT=10 for figures that benchstat compares
	@go build -o $(TESTBED) ./local/cmd/testbed
	@$(TESTBED) --install gcc -- go test -count $(COUNT) -run '^$$' -bench . -benchtime $(BENCHTIME) $$(grep -rl '^func Benchmark' --include='*_test.go' $(MODULES) | xargs -n 1 dirname | sort -u | sed 's|^|./|')

bench-desk: ## how long a million dead letters take to answer: every field, pair, order and group
	go run ./bench/cmd/desk

bench-settle: ## what the desk costs the recorder, and what the janitor's work does, in pairs (ROUNDS=10): median ratio and spread
	go run ./bench/cmd/desk --settle --rounds $(or $(ROUNDS),10)

bench-console: ## how soon each page of the console is painted in Chromium, with a million dead letters; 5,000 outcomes a second in one tab
	go run ./bench/cmd/console

# Also: NODES=1 for one node of the broker, RATE= posts a second of each client, EVERY=1 for every fault on every kind of thing once, mixed.
faults: ## the fault suite on three nodes: DURATION=10m of faults under load, from SEED= (random unless told); FAULT=kill,cut@database for some alone, EACH=1 for each so many times by itself
	go run ./e2e/cmd/faults -duration $(or $(DURATION),5m) -nodes $(or $(NODES),3) $(if $(SEED),-seed $(SEED)) $(if $(FAULT),-fault $(FAULT)) $(if $(EACH),-each $(EACH)) $(if $(EVERY),-every) $(if $(RATE),-rate $(RATE))

fuzz: ## every decoder against made-up input, FUZZTIME=10m each
	@grep -rn --include='*_test.go' '^func Fuzz' $(MODULES) | sed 's|\(.*\)/[^/]*:[0-9]*:func \(Fuzz[A-Za-z0-9_]*\).*|\1 \2|' | while read folder target; do \
	  echo "== $$folder $$target"; \
	  go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(or $(FUZZTIME),10m) ./$$folder </dev/null || exit 1; \
	done

vulncheck: $(BIN)/golangci-lint ## what the Go vulnerability database knows of the code that is called; it has to be reachable
	@for m in $(MODULES); do (cd $$m && GOWORK=off $(BIN)/govulncheck ./...) || { \
	  echo "vulncheck stopped at $$m. If it says 'fetching vulnerabilities', vuln.go.dev cannot be reached from here: NOTHING WAS CHECKED"; exit 1; }; \
	done

licences: ## the modules that the programs are built from, with their licences
	@go run ./local/cmd/licences

reliability: ## docs/reliability.md anew, from what make faults left: RUNS='DIR/report.json ...'
	go run ./e2e/cmd/faults -page docs/reliability.md $(RUNS)

runbook: ## what the commands in docs/operations.md print, anew: each incident made to happen on a platform of its own
	go run ./e2e/cmd/runbook

rolling: ## 100 restarts (RESTARTS=) of every service under load, one after the other: nothing lost, nothing doubled
	CUPLINE_TEST_RESTARTS=$(or $(RESTARTS),100) go test -count 1 -timeout 30m -v -run 'TestEveryServiceIsRestartedUnderLoad' ./e2e/path

tools: $(BIN)/golangci-lint ## the linter, benchstat and govulncheck, into .bin/

$(BIN)/golangci-lint: tools/go.mod
	GOWORK=off GOBIN=$(BIN) go -C tools install tool
	@touch $@
