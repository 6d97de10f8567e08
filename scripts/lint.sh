#!/usr/bin/env bash
# Formatting, linters and shellcheck over the whole tree. The first run compiles golangci-lint (a minute or two).
set -euo pipefail

cd "$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")"

GOLANGCI_LINT=github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

check_format() {
  local unformatted
  unformatted=$(git ls-files '*.go' | xargs -r gofmt -l)
  [[ -z $unformatted ]] || {
    printf 'not formatted (make fmt): %s\n' "$unformatted" >&2
    return 1
  }
}

check_shell() {
  local files
  mapfile -t files < <(git ls-files '*.sh' .ci/run 'docs/examples/keepalived/turnout-*')
  shellcheck "${files[@]}"
}

# golangci-lint sees cgo's output, where the import of "C" is gone.
check_cgo() {
  local packages
  packages=$(go list -f '{{if .CgoFiles}}{{.ImportPath}}{{end}}' ./... | grep -vx 'turnout/lcore/port' || true)
  [[ -z $packages ]] || {
    printf 'cgo outside lcore/port: %s\n' "$packages" >&2
    return 1
  }
}

# All of them run, so that one run names every mistake.
failed=0
check_format || failed=1
check_shell || failed=1
check_cgo || failed=1
go run "$GOLANGCI_LINT" run ./... || failed=1
exit "$failed"
