#!/usr/bin/env bash
# run.sh [NIC...]: turnout on a NIC bound to vfio-pci, on a machine that has none. QEMU emulates the machine, its IOMMU and
# the NIC: virtio-net-pci, e1000e or vmxnet3, by default each in turn. checks.sh is what happens in the guest.
# IDLE is dpdk.idle there: busy by default, or adaptive.
set -euo pipefail

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# A virtio device goes past the IOMMU unless told otherwise.
declare -A devices=(
  [virtio-net-pci]="virtio-net-pci,iommu_platform=on,disable-legacy=on"
  [e1000e]=e1000e
  [vmxnet3]=vmxnet3
)
nics=("$@")
((${#nics[@]} > 0)) || nics=(virtio-net-pci e1000e vmxnet3)
# Emulation takes 40 to 90 s; a host with other work to do, two or three times that.
LIMIT=${VFIO_SECONDS:-240}

# skip WHAT: a missing capability is told, and is a failure in continuous integration
skip() {
  echo "vfio: $*"
  echo "--- SKIP: vfio"
  [[ ${CI:-} != true ]] || exit 1
  exit 0
}

check_capabilities() {
  local tool
  [[ $(uname -m) == x86_64 ]] || skip "the guest is an x86-64 machine, this is $(uname -m)"
  for tool in qemu-system-x86_64 busybox cpio modprobe; do
    command -v "$tool" >/dev/null || skip "there is no $tool: scripts/deps.sh vfio installs it"
  done
}

check_nics() {
  local nic
  for nic in "${nics[@]}"; do
    [[ -v devices[$nic] ]] || {
      echo "run.sh: unknown NIC $nic, there are: ${!devices[*]}" >&2
      exit 2
    }
  done
}

# boot NIC: two NICs on QEMU's own hub, the director's and the kernel's, by which the lab reaches it. The IOMMU's 48 bits
# are those of today's servers: with them DPDK gives NICs its own virtual addresses. The kernel hands NIC and IDLE to
# its first process as variables.
boot() {
  timeout "$LIMIT" qemu-system-x86_64 \
    -machine q35,kernel-irqchip=split -accel tcg,thread=multi -cpu max -smp 2 -m 1536 \
    -display none -serial stdio -monitor none -no-reboot -nodefaults \
    -kernel "$kernel"/boot/vmlinuz-* -initrd "$work/image" \
    -append "console=ttyS0 quiet panic=-1 intel_iommu=on mitigations=off NIC=$1 IDLE=${IDLE:-}" \
    -device intel-iommu,intremap=on,caching-mode=on,aw-bits=48 \
    -netdev hubport,id=director,hubid=0 \
    -device "${devices[$1]},netdev=director,mac=02:00:00:00:01:20,addr=0x10,romfile=" \
    -netdev hubport,id=uplink,hubid=0 \
    -device virtio-net-pci,netdev=uplink,mac=02:00:00:00:ff:01,addr=0x11,romfile= </dev/null
}

# run NIC: the serial line is the log; its last word is the exit status of the checks
run() {
  local nic=$1 begin=$SECONDS
  echo "=== $nic"
  boot "$nic" | sed -u 's/\r$//' | tee "$work/log" || true
  if ! grep -q '^vfio: exit status 0$' "$work/log"; then
    failed+=("$nic")
    echo "vfio: $nic FAILED after $((SECONDS - begin)) s"
    return
  fi
  echo "vfio: $nic passed in $((SECONDS - begin)) s"
}

check_nics
check_capabilities
kernel=$("$here/kernel.sh") || skip "there is no kernel for the guest, and it could not be downloaded"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=()
"$here/image.sh" "$work/image" "$kernel"
for nic in "${nics[@]}"; do run "$nic"; done
((${#failed[@]} == 0)) || {
  echo "vfio: FAILED: ${failed[*]}"
  exit 1
}
