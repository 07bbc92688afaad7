# certproxy: `make` says what there is, `make test` checks everything.

.DEFAULT_GOAL := help
SHELL         := bash
.SHELLFLAGS   := -euo pipefail -c
MAKEFLAGS     += --no-print-directory --no-builtin-rules
.DELETE_ON_ERROR:
.ONESHELL:

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
MODULES := . integration integration/kubernetes integration/oracle packaging tools

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

## To ship

# Where the same commit is built, the same bytes come out: see docs/release.md.
ARCH  ?= $(shell go env GOARCH)
EPOCH := $(shell git log -1 --format=%ct 2>/dev/null || echo 0)

.PHONY: deb
deb: build/package build/manual build/linux_$(ARCH)/certproxy ## build build/certproxy_VERSION-1_ARCH.deb (ARCH=amd64)
	@$(PACKAGE) -arch $(ARCH) -binary build/linux_$(ARCH)/certproxy -out build deb

.PHONY: rpm
rpm: build/package build/manual build/linux_$(ARCH)/certproxy ## build build/certproxy-VERSION-1.ARCH.rpm
	@$(PACKAGE) -arch $(ARCH) -binary build/linux_$(ARCH)/certproxy -out build rpm

# The command, in words, by which docker asks the binary for its health.
HEALTHCHECK ?= /certproxy status

.PHONY: image
image: build/image build/linux_amd64/certproxy build/linux_arm64/certproxy ## build build/certproxy-image.tar, for amd64 and arm64
	@SOURCE_DATE_EPOCH=$(EPOCH) build/image -version '$(VERSION)' -healthcheck '$(HEALTHCHECK)' -out build/certproxy-image.tar \
		amd64=build/linux_amd64/certproxy arm64=build/linux_arm64/certproxy

# make release VERSION=v1.2.3 for another version than git describe says.
RELEASED := linux_amd64 linux_arm64 darwin_amd64 darwin_arm64 windows_amd64
.PHONY: release
release: build/package build/manual build/cyclonedx-gomod image $(RELEASED:%=build/%/certproxy) ## build all that is published, into build/release
	@VERSION='$(VERSION)' EPOCH='$(EPOCH)' packaging/release.sh

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
	$(MAKE) --keep-going --jobs=3 AFTER=unit lint tools unit packaging oracle kubernetes integration || status=$$?
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

.PHONY: packaging
packaging: $(STEP) $(AFTER) ## run the tests of what makes packages and the image
	@$(STEP) -tests packaging env $(RELEASE) go test -C packaging -json -vet=off ./...

# Compiling Kubernetes takes half a minute once.
.PHONY: kubernetes
kubernetes: $(STEP) $(AFTER) ## hold deploy/kubernetes against Kubernetes' own code
	@$(STEP) -tests kubernetes env $(RELEASE) go test -C integration/kubernetes -json -vet=off ./...

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

# Not part of test, which soaks for some seconds only, to show that it works.
.PHONY: soak
soak: build packages ## traffic, reloads and faults for MINUTES (60), drawn to build/soak.svg
	@mkdir -p build
	CERTPROXY_BIN="$(CURDIR)/bin/certproxy" \
		env $(RELEASE) go test -C integration -vet=off -v -count=1 -timeout=0 -run '^TestSoak$$' . \
		-soak.minutes=$(or $(MINUTES),60) -soak.plot='$(CURDIR)/build/soak.svg'

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

PACKAGE := SOURCE_DATE_EPOCH=$(EPOCH) build/package -version '$(VERSION)' -manual build/manual

# Makes the deb and the rpm.
build/package: FORCE
	@$(RELEASE) go build -C packaging -ldflags '-s -w' -o ../$@ ./package

# Makes the container image.
build/image: FORCE
	@$(RELEASE) go build -C packaging -ldflags '-s -w' -o ../$@ ./image

# Says what is in a binary.
build/cyclonedx-gomod: FORCE
	@$(RELEASE) go build -C packaging -ldflags '-s -w' -o ../$@ github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod

# Manual pages and completions.
build/manual: FORCE
	@rm -rf $@
	SOURCE_DATE_EPOCH=$(EPOCH) $(RELEASE) go run -tags manual -ldflags '-X main.version=$(VERSION)' ./cmd/certproxy $@

# build/OS_ARCH/certproxy. Without -buildvcs: whether git is there would change the bytes.
build/%/certproxy: FORCE
	@target=$*
	GOOS=$${target%_*} GOARCH=$${target#*_} $(RELEASE) \
		go build -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)' -o $@ ./cmd/certproxy

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
