#!/usr/bin/env bash
# image.sh FILE KERNEL-FOLDER: writes the guest's initramfs, an uncompressed cpio archive: the programs below with all that
# they are linked with, turnout and its scripts, DPDK's plug-ins for the emulated NICs, and the kernel's modules.
set -euo pipefail

root=$(dirname "$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")")
file=$(readlink -f "$1")
kernel=$2
tree=

# What turnout and the scripts of the lab run. busybox does what is not here; its env, setsid and xargs would not run
# these programs but what it has by the same names.
PROGRAMS=(bash curl date env ethtool ip jq modprobe nginx setsid stat tcpdump xargs)
# DPDK's buses, its mempool and the drivers of the NICs.
PLUGINS=(bus_pci bus_vdev mempool_ring net_e1000 net_virtio net_vmxnet3)
MODULES=(bridge e1000e tun veth vfio_iommu_type1 vfio-pci virtio_net virtio_pci vmxnet3)
FILES=(bin/dpdk/turnout bin/turnout scripts/{bind-nic,demo,four-steps,lab,realserver}.sh e2e/vfio/{checks,init}.sh)

# copy FILE: to the same place; of a symbolic link, what it leads to as well, so that a library is the same file for all
copy() {
  local path
  path=$(realpath -s "$1")
  path=$(readlink -f "$(dirname "$path")")/$(basename "$path")
  [[ ! -e $tree$path ]] || return 0
  mkdir -p "$tree$(dirname "$path")"
  cp -P "$path" "$tree$path"
  [[ ! -L $path ]] || copy "$(cd "$(dirname "$path")" && realpath -s "$(readlink "$path")")"
}

# copy_linked FILE: with the libraries that it is linked with
copy_linked() {
  local library
  copy "$1"
  for library in $(ldd "$1" | grep -oE '/[^ ]+'); do copy "$library"; done
}

# The links of Debian's merged /usr, and what programs expect to find.
lay_out() {
  local dir
  mkdir -p "$tree"/usr/{bin,sbin,lib,lib64} "$tree"/{dev,etc,proc,run,sys,tmp} "$tree"/var/{lib/nginx,log/nginx}
  ln -s ../run "$tree/var/run"
  for dir in bin sbin lib lib64; do ln -s "usr/$dir" "$tree/$dir"; done
  grep -E '^(root|nobody|nogroup|tcpdump):' /etc/passwd >"$tree/etc/passwd"
  grep -E '^(root|nobody|nogroup|tcpdump):' /etc/group >"$tree/etc/group"
}

copy_programs() {
  local name
  for name in "${PROGRAMS[@]}"; do copy_linked "$(command -v "$name")"; done
  copy "$(command -v busybox)"
  for name in $(busybox --list); do
    [[ -e $tree/usr/bin/$name || -e $tree/usr/sbin/$name ]] || ln -s busybox "$tree/usr/bin/$name"
  done
}

copy_plugins() {
  local name path
  for name in "${PLUGINS[@]}"; do
    for path in /usr/lib/x86_64-linux-gnu/dpdk/pmds-*/librte_"$name".so.*; do copy_linked "$path"; done
  done
  # pthread_cancel loads it by name.
  copy "$(ldconfig -p | sed -n 's/.*libgcc_s.so.1 .*x86-64.* => //p')"
}

copy_repository() {
  ldd "$root/bin/dpdk/turnout" | grep -oE '/[^ ]+' | while read -r library; do copy "$library"; done
  (cd "$root" && cp --parents "${FILES[@]}" "$tree")
  ln -s e2e/vfio/init.sh "$tree/init"
}

copy_modules() {
  local version module
  version=$(ls "$kernel/lib/modules")
  for module in "${MODULES[@]}"; do modprobe -S "$version" -d "$kernel" --show-depends "$module"; done |
    sed -nE "s,^insmod $kernel/(\S+).*,\1,p" | sort -u | (cd "$kernel" && xargs cp --parents -t "$tree/usr")
  cp "$kernel/lib/modules/$version"/modules.{order,builtin,builtin.modinfo} "$tree/lib/modules/$version/"
  depmod -b "$tree" "$version"
}

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
lay_out
copy_programs
copy_plugins
copy_modules
copy_repository
(cd "$tree" && find . | cpio --quiet -o -H newc -R 0:0) >"$file"
