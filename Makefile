# certproxy: `make` says what there is, `make test` checks everything.

.DEFAULT_GOAL := help
SHELL         := bash
.SHELLFLAGS   := -euo pipefail -c
MAKEFLAGS     += --no-print-directory --no-builtin-rules
.DELETE_ON_ERROR:
.ONESHELL:

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
MODULES := . integration integration/oracle tools

# Runs one step: one line when it passes, all it said when it fails (tools/step).
# The full output of each step stays in build/steps.
STEP := build/step

# What ships, and every tool, is built this way: without cgo, for the product is
# one static file, and trimmed. One way for all means that the standard library is
# compiled for it once. Tests are built with -race, which needs cgo.
RELEASE := CGO_ENABLED=0 GOFLAGS="$(strip $(GOFLAGS) -trimpath)"

## For users

.PHONY: build
build: $(STEP) ## build bin/certproxy
	@$(STEP) build env $(RELEASE) go build -ldflags '-s -w -X main.version=$(VERSION)' -o bin/certproxy ./cmd/certproxy

.PHONY: demo
demo: ## show certproxy at work in ten seconds
	@go run ./cmd/certproxy demo

## For developers

# -timeout: a test that hangs is shown with its stacks, and before CI loses patience.

# Compiling golangci-lint takes most of a cold run (several minutes of processor
# time), so it runs beside the rest, and politely: tests that watch the clock come
# first. The integration tests wait for the unit tests for the same reason; only
# the installation of Debian packages runs beside those.
.PHONY: test
test: $(STEP) ## check everything: lint, unit tests, the real servers and clients
	@rm -rf build/steps
	status=0
	$(MAKE) --keep-going --jobs=3 AFTER=unit lint tools unit oracle integration || status=$$?
	$(STEP) -total || status=1
	exit $$status

.PHONY: lint
lint: $(STEP) ## run golangci-lint over all modules
	@$(STEP) lint nice $(MAKE) golangci-lint

.PHONY: unit
unit: $(STEP) ## run the unit tests with the race detector, and hold the architecture
	@$(STEP) -tests unit go test -json -race -vet=off -timeout=4m ./...

.PHONY: tools
tools: $(STEP) ## run the tests of the Makefile's own tools
	@$(STEP) -tests tools env $(RELEASE) go test -C tools -json -vet=off ./...

.PHONY: oracle
oracle: $(STEP) $(AFTER) ## hold certs/ against Docker's and containers/image's own loaders
	@$(STEP) -tests oracle env $(RELEASE) go test -C integration/oracle -json -vet=off ./...

# Never from the cache: the go command cannot see that a server has changed. Built
# as what ships, crane too: a third way would compile the standard library again.
# What the race detector would watch here is the tests alone; without CERTPROXY_BIN,
# `go test` in integration/ builds the proxy with it.
.PHONY: integration
integration: build packages $(AFTER) ## run the built binary against real servers and clients
	@CERTPROXY_BIN="$(CURDIR)/bin/certproxy" \
		$(STEP) -tests integration env $(RELEASE) go test -C integration -json -vet=off -count=1 -timeout=10m ./...

.PHONY: packages
packages: $(STEP) ## install the Debian packages that the integration tests need
	@$(STEP) packages integration/setup.sh

.PHONY: bench
bench: build/benchstat ## compare the benchmarks with the last release (BENCH=REGEXP, COUNT=6, BENCHTIME=1s)
	@BENCH='$(BENCH)' COUNT='$(COUNT)' BENCHTIME='$(BENCHTIME)' tools/bench/bench.sh build/benchstat

# Not part of test, which only takes the smallest comparison that shows that it works.
.PHONY: bench-compare
bench-compare: build ## compare with nginx and squid (ROUNDS=5, BENCHTIME=3s, MIB=1024)
	@rm -rf build/compare
	mkdir -p build/compare
	CERTPROXY_BIN="$(CURDIR)/bin/certproxy" \
		env $(RELEASE) go test -C integration -vet=off -v -timeout=2h -run '^TestComparisonIsTaken$$' . \
		-compare.subjects= -compare.out='$(CURDIR)/build/compare' -compare.rounds=$(or $(ROUNDS),5) \
		-compare.time=$(or $(BENCHTIME),3s) -compare.mib=$(or $(MIB),1024) -compare.clients=32 -compare.idle=1000
	cat build/compare/comparison.md

FUZZTIME ?= 60s
.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZTIME (60s)
	@grep -rEo --include='*_test.go' '^func Fuzz\w+' . | while IFS=: read -r file func; do
		echo "$${file%/*} $${func#func }"
		go test -run '^$$' -fuzz "^$${func#func }\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s "$${file%/*}" </dev/null
	done

# Not part of test: it asks a database over the network, whose answer changes
# without a change of ours, so a commit that was green could turn red.
.PHONY: vuln
vuln: ## look for known vulnerabilities in what we import
	@go tool -modfile=tools/go.mod govulncheck ./...

.PHONY: clean
clean: ## remove what was built
	@rm -rf bin build

.PHONY: help
help: ## print this
	@sed -En \
		-e 's/^## (.*)/\n\1/p' \
		-e 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 22

# What follows serves the targets above.

# The go command decides whether there is anything to build: it sees a new Go too.
$(STEP): FORCE
	@$(RELEASE) go build -C tools -ldflags '-s -w' -o ../$@ ./step

build/benchstat: FORCE
	@$(RELEASE) go build -C tools -ldflags '-s -w' -o ../$@ golang.org/x/perf/cmd/benchstat

.PHONY: golangci-lint
golangci-lint:
	@$(RELEASE) go build -C tools -ldflags '-s -w' -o ../build/golangci-lint \
		github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	status=0
	for module in $(MODULES); do
		(cd $$module && $(RELEASE) "$(CURDIR)/build/golangci-lint" run --allow-serial-runners) || status=1
	done
	exit $$status

.PHONY: FORCE
FORCE:
