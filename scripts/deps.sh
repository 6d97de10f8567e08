#!/usr/bin/env bash
# Installs what turnout needs from Debian's packages, and says so. Silent and quick when all of it is there.
set -euo pipefail

root=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
# Tests put another file in its place.
policy=${POLICY_RC_D:-/usr/sbin/policy-rc.d}

# What go.mod asks for.
GO_MINOR=26

# libdpdk-dev brings DPDK's libraries and all its drivers with it.
build=(gcc libc6-dev libdpdk-dev pkg-config)
demo=("${build[@]}" curl ethtool iproute2 jq nginx-light tcpdump)
# prometheus is there for promtool, dpdk-dev for dpdk-testpmd, procps for sysctl, systemd for systemd-analyze.
test=("${demo[@]}" dpdk-dev iputils-arping iputils-ping keepalived procps prometheus shellcheck systemd tshark)
vfio=("${test[@]}" busybox-static cpio kmod qemu-system-x86 seabios)

usage() {
  cat <<END
usage: deps.sh [build|demo|test|vfio]   install what "make build", "make demo", "make test" (the default) or "make e2e-vfio" needs

build: ${build[*]}
demo:  ${demo[*]}
test:  ${test[*]}
vfio:  ${vfio[*]}, and a kernel
END
}

fail() {
  echo "deps: $*" >&2
  exit 1
}

check_go() {
  local version minor
  command -v go >/dev/null || fail "there is no go in PATH; install Go 1.$GO_MINOR or newer from https://go.dev/dl (and add /usr/local/go/bin to PATH)"
  version=$(cd "$root" && go env GOVERSION)
  minor=$(sed -nE 's/^go1\.([0-9]+).*/\1/p' <<<"$version")
  if [[ -n $minor ]] && ((minor < GO_MINOR)); then
    fail "$(command -v go) is $version, turnout needs Go 1.$GO_MINOR or newer: https://go.dev/dl"
  fi
}

# missing PACKAGE...: those that are not installed
missing() {
  comm -23 <(printf '%s\n' "$@" | sort -u) <(installed "$@" | sort -u)
}

# dpkg-query fails as soon as one package is unknown to it, and still lists the others.
installed() {
  dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p' || true
}

install() {
  ((EUID == 0)) || fail "these packages are missing: $*; run this as root, or: sudo apt-get install $*"
  command -v apt-get >/dev/null || fail "these Debian packages are missing: $*; this is no Debian, install what they hold by hand"
  echo "deps: installing Debian packages: $*"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  keep_services_stopped
  apt-get install -qq -y --no-install-recommends "$@"
  disable_services "$@"
}

# nginx, prometheus and keepalived come with system services, which nobody asked for here. A policy-rc.d that was there stays.
keep_services_stopped() {
  [[ ! -e $policy ]] || return 0
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 0755 "$policy"
}

# Not started is not enough: they would be at the next boot.
disable_services() {
  command -v systemctl >/dev/null || return 0
  local package
  for package in "$@"; do
    case $package in
      nginx-light) systemctl disable --quiet nginx ;;
      prometheus | keepalived) systemctl disable --quiet "$package" ;;
    esac
  done
}

# Without it the other tests of "make verify" run all the same.
fetch_kernel() {
  "$root/e2e/vfio/kernel.sh" >/dev/null || echo "deps: there is no kernel for e2e/vfio, whose test will be missing" >&2
}

main() {
  local packages=()
  case ${1:-test} in
    build) packages=("${build[@]}") ;;
    demo) packages=("${demo[@]}") ;;
    test) packages=("${test[@]}") ;;
    vfio) packages=("${vfio[@]}") ;;
    -h | --help | help) usage && return ;;
    *) usage >&2 && exit 2 ;;
  esac
  check_go
  mapfile -t packages < <(missing "${packages[@]}")
  ((${#packages[@]} == 0)) || install "${packages[@]}"
  [[ ${1:-test} != vfio ]] || fetch_kernel
}

main "$@"
