#!/usr/bin/env bash
# All tests in their short form; VERIFY=full runs the long ones as well. Every step runs, so that one run names every
# failure. Tests of DPDK and of network namespaces want the machine's CPUs for themselves: one package after the other.
set -euo pipefail

cd "$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")"

full=no
[[ ${VERIFY:-} != full ]] || full=yes
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
failed=()
times=()

# Packages whose goroutines share memory, without DPDK.
RACE=(./appliance ./flowtable ./lcore ./lcore/frame ./mgmt/... ./sched)
# Those two are what reads frames from the wire.
FUZZ_FRAMES=(./lcore/frame:FuzzParse ./lcore:FuzzForward)
FUZZ_OTHERS=(./mgmt/api:FuzzAPI ./mgmt/neigh:FuzzHandleARP ./mgmt/punt:FuzzEchoReply ./mgmt/store:FuzzDecode)

# step NAME CMD...: runs it in the background, where a function ends at its first error
step() {
  local name=$1 log=$logs/${#times[@]} begin=$SECONDS status=0 verdict=ok
  shift
  printf '%-28s' "$name"
  "$@" >"$log" 2>&1 &
  wait $! || status=$?
  if ((status != 0)); then
    verdict=FAILED
    failed+=("$name")
  fi
  printf '%-7s %4d s\n' "$verdict" $((SECONDS - begin))
  times+=("$((SECONDS - begin)) s  $name")
  skips "$log"
  ((status == 0)) || sed 's/^/  | /' <(failure "$log")
}

# skips LOG: what was skipped, and why, is told even if all went well
skips() { grep -B1 -E '^ *--- SKIP' "$1" | grep -vE '^(--$|=== | *--- PASS)' | sed 's/^ */  /' || true; }

# failure LOG: without what go test -v says of tests that passed
failure() {
  awk '
    /^=== RUN +[^\/]*$/ { block = ""; open = 1 }
    /^=== / { next }
    /^--- (PASS|SKIP)/ { open = 0; quiet = 1; next }
    /^--- FAIL/ { printf "%s", block; open = 0 }
    /^[^ ]/ { quiet = 0 }
    open { block = block $0 "\n"; next }
    !quiet && !/^(ok|PASS|\?)/
    END { if (open) printf "%s", block }' "$1" | tail -n 300
}

format() {
  local unformatted
  unformatted=$(git ls-files '*.go' | xargs -r gofmt -l)
  [[ -z $unformatted ]] || {
    printf 'not formatted (make fmt): %s\n' "$unformatted"
    return 1
  }
}

vet() {
  go vet ./...
  (cd third_party/go-dpdk && go vet ./...)
}

unit() {
  local short=(-short)
  [[ $full == no ]] || short=()
  go list ./... | grep -v '/e2e$' | xargs go test -v -p 1 "${short[@]}" -timeout 20m
}

race() { go test -v -race -short -p 1 -timeout 20m "${RACE[@]}"; }

go_dpdk() { (cd third_party/go-dpdk && go test -v -p 1 -timeout 10m ./...); }

# fuzz SECONDS FOLDER:TARGET...
fuzz() {
  local seconds=$1 target
  shift
  for target in "$@"; do
    go test "${target%:*}" -run '^$' -fuzz "^${target#*:}\$" -fuzztime "${seconds}s" -fuzzminimizetime 10x
  done
}

e2e() { go test -v -count 1 -timeout 30m ./e2e; }

# A prefix of its own leaves a lab alone that somebody plays with.
demo() { LAB=test$$- scripts/demo.sh; }

summary() {
  echo
  echo "slowest:"
  printf '  %s\n' "${times[@]}" | sort -k1,1nr | head -n 5
  if ((${#failed[@]} > 0)); then
    printf 'FAILED after %d s: %s\n' "$SECONDS" "${failed[*]}"
    return 1
  fi
  printf 'all %d steps passed, in %d s\n' "${#times[@]}" "$SECONDS"
}

main() {
  if [[ $full == yes ]]; then
    step "lint" scripts/lint.sh
  else
    step "format" format
  fi
  step "vet" vet
  step "unit, properties, golden" unit
  step "race" race
  step "go-dpdk" go_dpdk
  step "scripts" scripts/test-scripts.sh
  if [[ $full == yes ]]; then
    step "fuzz frames, 5 min each" fuzz 300 "${FUZZ_FRAMES[@]}"
    step "fuzz all, 1 min each" scripts/fuzz.sh 60
  else
    step "fuzz frames, 10 s each" fuzz 10 "${FUZZ_FRAMES[@]}"
    step "fuzz others, 5 s each" fuzz 5 "${FUZZ_OTHERS[@]}"
  fi
  step "end to end" e2e
  step "demo" demo
  [[ $full == no ]] || step "vfio" e2e/vfio/run.sh
  summary
}

main "$@"
