#!/usr/bin/env bash
# Fetches the driver headers of the DPDK that is installed. Debian ships the libraries without them, so they come out of
# the source package of the same version, by a sources list of our own: the machine's lists stay as they are.
set -euo pipefail

build=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")/build
headers=(ethdev_driver.h ethdev_vdev.h bus_vdev_driver.h bus_driver.h dev_driver.h)

fail() {
  echo "perf: $*" >&2
  exit 1
}

# origin VERSION: the mirror that this version came from, as "URI suite component"
origin() {
  apt-cache policy libdpdk-dev | awk -v version="$1" '
    $1 == "***" || $2 ~ /^[0-9]+$/ && NF == 2 { ours = ($1 == "***" ? $2 : $1) == version; next }
    ours && $2 ~ /^https?:/ { sub("/", " ", $3); print $2, $3; exit }'
}

apt_here() {
  apt-get -qq -o "Dir::Etc::sourcelist=$build/apt/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$build/apt/lists" \
    -o "Dir::Cache=$build/apt/cache" -o APT::Sandbox::User=root "$@"
}

# Only the original archive: Debian's patches do not touch these headers.
fetch() {
  local version=$1 from
  from=$(origin "$version")
  [[ -n $from ]] || fail "no apt source of this machine holds libdpdk-dev $version any more: apt-get update && apt-get install libdpdk-dev, then try again"
  rm -f "$build"/apt/dpdk_*
  mkdir -p "$build/apt/lists/partial" "$build/apt/cache/archives/partial"
  echo "deb-src $from" >"$build/apt/sources.list"
  apt_here update
  (cd "$build/apt" && apt_here source --download-only "dpdk=$version")
}

main() {
  local version stamp
  version=$(dpkg-query -W -f '${Version}' libdpdk-dev) || fail "libdpdk-dev is not installed: run make build first"
  stamp=$build/include/.of-$version
  [[ ! -e $stamp ]] || return 0
  fetch "$version"
  rm -rf "$build/include"
  mkdir -p "$build/include"
  tar -xf "$build"/apt/dpdk_*.orig.tar.xz -C "$build/include" --wildcards --no-anchored --transform 's|.*/||' "${headers[@]}"
  touch "$stamp"
}

main "$@"
