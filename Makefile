# The one door: every task is a target here. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
GO_FILES := $(shell git ls-files '*.go' '*.c' '*.h' '*.s' 2>/dev/null)
LDFLAGS := -X main.version=$(VERSION)

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: deps-build deps-demo deps-test deps-vfio
deps-build deps-demo deps-test deps-vfio: deps-%:
	@scripts/deps.sh $*

.PHONY: build
build: deps-build bin/turnout ## build bin/turnout

bin/turnout: $(GO_FILES) go.mod go.sum scripts/turnout.sh scripts/realserver.sh
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/dpdk/turnout ./appliance
	install scripts/realserver.sh bin/dpdk/
	install scripts/turnout.sh $@

.PHONY: demo
demo: deps-demo bin/turnout ## show LVS-DR at work in a lab of network namespaces
	scripts/demo.sh

.PHONY: lab
lab: deps-demo bin/turnout ## leave the lab and turnout running, to play with
	scripts/demo.sh lab

.PHONY: test
test: deps-test bin/turnout ## all tests in their short form (at most 15 minutes)
	scripts/test.sh

.PHONY: e2e-vfio
e2e-vfio: deps-vfio bin/turnout ## turnout on a NIC bound to vfio-pci, in an emulated machine (NIC=e1000e: only that one)
	e2e/vfio/run.sh $(NIC)

.PHONY: verify
verify: deps-vfio bin/turnout ## everything that the issues must show, in full length
	VERIFY=full scripts/test.sh

.PHONY: lint
lint: deps-test ## formatting, vet, golangci-lint, shellcheck
	scripts/lint.sh

.PHONY: fmt
fmt: ## format the Go code
	gofmt -w $$(git ls-files '*.go')

.PHONY: golden
golden: ## write the golden files anew; look at the difference before committing
	go test ./lcore ./perf/hot ./mgmt/api ./mgmt/doctor ./mgmt/importer ./mgmt/metrics ./appliance -update

FUZZ_SECONDS ?= 60
.PHONY: fuzz
fuzz: deps-test ## every fuzz target for FUZZ_SECONDS
	scripts/fuzz.sh $(FUZZ_SECONDS)

.PHONY: bench
bench: deps-test ## micro-benchmarks, in benchstat's format
	go test -run '^$$' -bench . -benchmem ./flowtable ./sched ./lcore/... ./mgmt/director

.PHONY: man
man: bin/turnout ## write the manual pages of all commands to man/
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct 2>/dev/null || date +%s) bin/turnout man man

PERF ?=
.PHONY: perf
perf: deps-test bin/turnout ## cost per packet over testpmd, to perf/results (PERF=-quick: the steps only)
	perf/perf.sh $(PERF)

.PHONY: docker
docker: ## build the container image
	docker build --build-arg VERSION=$(VERSION) -t turnout:$(VERSION) .

.PHONY: clean
clean: ## remove what was built
	rm -rf bin man perf/build
