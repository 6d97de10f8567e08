#!/usr/bin/env bash
# fuzz.sh SECONDS: runs every fuzz target of the tree for that long, one after the other.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:?usage: fuzz.sh SECONDS}

targets() { grep -rhoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' "$1" | sed 's/^func //'; }

for dir in $(grep -rlE --include='*_test.go' '^func Fuzz' --exclude-dir=third_party . | xargs -n1 dirname | sort -u); do
	for target in $(targets "$dir"); do
		echo "== $dir $target, ${seconds}s"
		go test "$dir" -run '^$' -fuzz "^$target\$" -fuzztime "${seconds}s" -fuzzminimizetime 10x
	done
done
