#!/usr/bin/env bash
# Builds the generator port, the driver of the loop, the C twin and the harness, and runs it with the arguments given.
set -euo pipefail

cd "$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")"
((EUID == 0)) || { echo "perf: DPDK and hugepages need root: sudo make perf" >&2; exit 1; }
make -s -C perf/gen
go build -o perf/build/ ./perf/loop
go build -o perf/build/perf ./perf
exec perf/build/perf "$@"
