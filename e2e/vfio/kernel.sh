#!/usr/bin/env bash
# Prints the folder that holds Debian's kernel for the guest: its package unpacked, not installed. It is downloaded once
# and stays in the user's cache under its version; to have a newer one, remove the folder.
set -euo pipefail

cache=${XDG_CACHE_HOME:-${HOME:?}/.cache}/turnout/vfio

# The folders of modules that the guest may need; the rest is 300 MB.
MODULES=(drivers/net drivers/vfio drivers/virtio net virt)

cached() { find "$cache" -mindepth 1 -maxdepth 1 -name 'linux-image-*' 2>/dev/null | sort -V | tail -n 1; }

# package: the kernel that linux-image-amd64 stands for at this time
package() { apt-cache depends linux-image-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-.*\)/\1/p'; }

# The user that apt downloads as cannot write to the cache.
download() { apt-get -qq -o APT::Sandbox::User=root download "$(package)"; }

unpack() {
  local deb=$1
  mkdir tree
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C tree --wildcards './boot/vmlinuz-*' './lib/modules/*/modules.*' \
    "${MODULES[@]/#/./lib/modules/*/kernel/}"
  depmod -b tree "$(ls tree/lib/modules)"
}

fetch() {
  echo "vfio: downloading Debian's kernel to $cache (70 MB, once)" >&2
  mkdir -p "$cache"
  work=$(mktemp -d "$cache/download.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  cd "$work"
  # The lists of packages may be missing, or older than what the mirror still has.
  if ! download >&2; then
    apt-get -qq update >&2
    download >&2
  fi
  local deb
  deb=$(echo ./*.deb)
  unpack "$deb"
  mv -T tree "$cache/$(basename "$deb" .deb)"
}

[[ -n $(cached) ]] || (fetch)
cached
