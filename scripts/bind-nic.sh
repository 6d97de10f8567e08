#!/usr/bin/env bash
# Hands a NIC from the kernel to DPDK (vfio-pci) and back, and reserves hugepages.
#
# Everything is done through sysfs: driver_override names the driver that the next probe of this one device must take, so
# that no other device with the same PCI ID is touched.
set -euo pipefail

# Tests put a tree of files in place of these.
sys=${SYSFS_ROOT:-/sys}
state=${STATE_DIR:-/run/turnout-nic}
hugetlbfs=${HUGETLBFS:-/dev/hugepages}

address=
device=
hugepages=0
force=no

usage() {
  cat <<END
usage: bind-nic.sh bind ADDRESS [--hugepages N] [--force]   hand the NIC to DPDK; reserve N hugepages of 2 MB
       bind-nic.sh unbind ADDRESS                           give it back to the kernel driver it had
       bind-nic.sh status                                   the NICs, their drivers, the hugepages

ADDRESS is the NIC's PCI address, such as 0000:3b:00.0; "status" lists them
--force  bind even a NIC that carries the default route or an address
END
}

fail() {
  echo "bind-nic: $*" >&2
  exit 1
}

misuse() {
  echo "bind-nic: $*" >&2
  usage >&2
  exit 2
}

# --- the device -------------------------------------------------------------------------------------------------------

# driver_of DEVICE-DIRECTORY: "none" where there is none
driver_of() {
  if [[ -e $1/driver ]]; then basename "$(readlink -f "$1/driver")"; else echo none; fi
}

# virtio keeps its interfaces one directory further down.
interfaces() {
  local dir
  for dir in "$device"/net/* "$device"/virtio*/net/*; do
    [[ ! -e $dir ]] || basename "$dir"
  done
}

# wait_for_driver NAME: the kernel does it before the write returns; hot-plugging buses may take longer
wait_for_driver() {
  local tries=40
  until [[ $(driver_of "$device") == "$1" ]]; do
    ((tries-- > 0)) || return 1
    sleep 0.05
  done
}

leave_driver() {
  local driver
  driver=$(driver_of "$device")
  [[ $driver != none ]] || return 0
  echo "$address" >"$device/driver/unbind"
  wait_for_driver none || fail "$address: the driver $driver does not let go of it"
}

# --- what speaks against it -------------------------------------------------------------------------------------------

check_device() {
  [[ -d $device ]] || fail "there is no PCI device $address; \"bind-nic.sh status\" lists the NICs"
  [[ $(<"$device/class") == 0x02* ]] || fail "$address is not a NIC (its PCI class is $(<"$device/class"))"
  case $(driver_of "$device") in
    mlx4_core | mlx5_core) fail "$address: DPDK drives this NIC through its kernel driver; leave it bound as it is" ;;
  esac
}

check_iommu() {
  if [[ ! -e $device/iommu_group ]]; then
    fail "no IOMMU is at work for $address, and vfio-pci needs one. Switch VT-d or AMD-Vi on in the firmware, add \"$(iommu_arguments)\" to GRUB_CMDLINE_LINUX in /etc/default/grub, run update-grub and boot again; a virtual machine must be given a virtual IOMMU by its host"
  fi
}

iommu_arguments() {
  if grep -q AuthenticAMD /proc/cpuinfo; then echo "iommu=pt"; else echo "intel_iommu=on iommu=pt"; fi
}

# VFIO opens a group only if no device in it is in the hands of another driver; bridges do not count.
check_group() {
  local peer driver
  for peer in "$device"/iommu_group/devices/*; do
    [[ -e $peer && $(basename "$peer") != "$address" ]] || continue
    driver=$(driver_of "$peer")
    case $driver in
      none | vfio-pci | pcieport) ;;
      *) fail "$(basename "$peer") (driver $driver) is in the same IOMMU group as $address: bind it too, or put the NIC in another slot" ;;
    esac
  done
}

check_unused() {
  [[ $force == no ]] || return 0
  local interface
  for interface in $(interfaces); do check_interface "$interface"; done
}

check_interface() {
  local interface=$1 addresses upper
  if [[ -n $(ip -4 route show default dev "$interface" 2>/dev/null)$(ip -6 route show default dev "$interface" 2>/dev/null) ]]; then
    fail "$interface ($address) carries the default route: binding it would cut this machine off (--force does it all the same)"
  fi
  addresses=$(ip -o address show dev "$interface" scope global 2>/dev/null | awk '{ print $4 }' | xargs)
  [[ -z $addresses ]] || fail "$interface ($address) has the address $addresses in use (--force does it all the same)"
  for upper in "$sys/class/net/$interface"/upper_*; do
    [[ ! -e $upper ]] || fail "$interface ($address) is part of ${upper##*/upper_} (--force does it all the same)"
  done
}

# --- hugepages --------------------------------------------------------------------------------------------------------

# The memory belongs on the NIC's own NUMA node.
hugepage_dir() {
  local node
  node=$(cat "$device/numa_node" 2>/dev/null || echo -1)
  if ((node >= 0)); then
    echo "$sys/devices/system/node/node$node/hugepages/hugepages-2048kB"
  else
    echo "$sys/kernel/mm/hugepages/hugepages-2048kB"
  fi
}

reserve_hugepages() {
  local dir had
  dir=$(hugepage_dir)
  [[ -e $dir/nr_hugepages ]] || fail "this kernel has no hugepages of 2 MB; turnout can do without (dpdk.hugepages: false), more slowly"
  had=$(<"$dir/nr_hugepages")
  if ((had >= hugepages)); then
    echo "hugepages: $had are reserved already"
  else
    echo "$hugepages" >"$dir/nr_hugepages"
    check_hugepages "$(<"$dir/nr_hugepages")"
    echo "hugepages: $had -> $hugepages of 2 MB"
  fi
  mount_hugetlbfs
}

check_hugepages() {
  (($1 >= hugepages)) || fail "the kernel could reserve only $1 of $hugepages hugepages, its memory is in pieces; add \"hugepages=$hugepages\" to the kernel command line and boot again"
}

mount_hugetlbfs() {
  ! grep -q ' hugetlbfs ' /proc/mounts || return 0
  mkdir -p "$hugetlbfs"
  mount -t hugetlbfs hugetlbfs "$hugetlbfs"
  echo "hugetlbfs: mounted on $hugetlbfs"
}

# --- commands ---------------------------------------------------------------------------------------------------------

bind() {
  need_device
  if [[ $(driver_of "$device") == vfio-pci ]]; then
    echo "$address: is bound to vfio-pci already"
  else
    check_iommu
    check_group
    check_unused
    load_vfio
    hand_over
  fi
  ((hugepages == 0)) || reserve_hugepages
}

load_vfio() {
  [[ ! -d $sys/bus/pci/drivers/vfio-pci ]] || return 0
  modprobe vfio-pci || fail "the kernel module vfio-pci cannot be loaded; is the package of the running kernel ($(uname -r)) complete?"
  echo "vfio-pci: loaded"
}

hand_over() {
  local old
  old=$(driver_of "$device")
  mkdir -p "$state"
  echo "$old" >"$state/$address"
  leave_driver
  echo vfio-pci >"$device/driver_override"
  echo "$address" >"$sys/bus/pci/drivers_probe"
  if ! wait_for_driver vfio-pci; then
    give_back "$old"
    fail "$address: vfio-pci did not take it (dmesg says why); it is with $old again"
  fi
  echo "$address: $old -> vfio-pci"
}

# An empty driver_override lets the kernel choose by PCI ID again.
give_back() {
  echo >"$device/driver_override"
  leave_driver
  [[ $1 != none ]] || return 0
  echo "$address" >"$sys/bus/pci/drivers_probe"
  wait_for_driver "$1"
}

unbind() {
  need_device
  local driver old
  driver=$(driver_of "$device")
  if [[ $driver != vfio-pci ]]; then
    echo "$address: is not bound to vfio-pci (driver: $driver)"
    return
  fi
  [[ -e $state/$address ]] || fail "$address: nothing is known of the driver it had before; echo > $device/driver_override, echo $address > $device/driver/unbind and echo $address > $sys/bus/pci/drivers_probe let the kernel choose"
  old=$(<"$state/$address")
  give_back "$old" || fail "$address: the driver $old did not take it back (it is with $(driver_of "$device")); modprobe $old and try again"
  rm "$state/$address"
  echo "$address: vfio-pci -> $old"
}

status() {
  local format='%-14s %-12s %-16s %-6s %s\n'
  # shellcheck disable=SC2059 # one format for heading and rows
  printf "$format" address driver interfaces node "IOMMU group"
  for device in "$sys"/bus/pci/devices/*; do
    [[ -e $device/class && $(<"$device/class") == 0x02* ]] || continue
    # shellcheck disable=SC2059
    printf "$format" "$(basename "$device")" "$(driver_of "$device")" "$(interfaces | xargs)" \
      "$(cat "$device/numa_node" 2>/dev/null)" "$(group_of "$device")"
  done
  echo
  hugepage_status
}

group_of() {
  if [[ -e $1/iommu_group ]]; then basename "$(readlink -f "$1/iommu_group")"; else echo "none: vfio-pci needs an IOMMU"; fi
}

hugepage_status() {
  local dir=$sys/kernel/mm/hugepages/hugepages-2048kB
  if [[ -d $dir ]]; then
    echo "hugepages of 2 MB: $(<"$dir/nr_hugepages") reserved, $(<"$dir/free_hugepages") free"
  else
    echo "hugepages of 2 MB: this kernel has none"
  fi
}

# --- arguments --------------------------------------------------------------------------------------------------------

need_device() {
  ((EUID == 0)) || fail "binding a NIC needs root"
  [[ -n $address ]] || misuse "the NIC's PCI address is missing"
  check_device
}

set_address() {
  local name=${1,,}
  [[ $name =~ ^[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$ ]] && name=0000:$name
  [[ $name =~ ^[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$ ]] || misuse "$1 is not a PCI address such as 0000:3b:00.0"
  address=$name
  device=$sys/bus/pci/devices/$address
}

parse_options() {
  while (($# > 0)); do
    case $1 in
      --force) force=yes ;;
      --hugepages)
        [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || misuse "--hugepages needs a number"
        hugepages=$2
        shift
        ;;
      -*) misuse "unknown option $1" ;;
      *) set_address "$1" ;;
    esac
    shift
  done
}

main() {
  local verb=${1:-}
  shift || true
  parse_options "$@"
  case $verb in
    bind | unbind | status) "$verb" ;;
    -h | --help | help) usage ;;
    *) misuse "what shall be done?" ;;
  esac
}

main "$@"
