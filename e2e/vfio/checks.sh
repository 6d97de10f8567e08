#!/usr/bin/env bash
# In the guest: the lab and the demo's scenes, with turnout on a NIC that is bound to vfio-pci. The kernel's own NIC, the
# uplink, is a port of the lab's bridge and bears the name dp0, so that captures there show what is on the NIC's wire.
set -euo pipefail

export BIG_BYTES=$((1024 * 1024))
# shellcheck source=../../scripts/demo.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../scripts/demo.sh"

UPLINK=0000:00:11.0
DEVICE=0000:00:10.0
DIP=192.168.57.120
HUGEPAGES=true
HUGEPAGES_2MB=72
# The emulated machine is about 50 times slower than a real one.
INTERVAL_MS=2000
TIMEOUT_MS=2000

plug_in() {
  local interface
  interface=$(basename /sys/bus/pci/devices/$UPLINK/virtio*/net/*)
  ip link set "$interface" name dp0 netns "${LAB}lan"
  ip -n "${LAB}lan" link set dp0 master br0 up
}

bind_nic() { "$scripts/bind-nic.sh" "$@"; }

scene_bind() {
  say "The NIC $DEVICE is handed to vfio-pci"
  bind_nic status
  bind_nic bind $DEVICE --hugepages $HUGEPAGES_2MB
  bind_nic status
  [[ $(readlink -f /sys/bus/pci/devices/$DEVICE/driver) == */vfio-pci ]] || fail "it is not bound to vfio-pci"
}

# Down, acknowledgements pass the NIC; up, frames of full size.
scene_big() {
  say "$BIG_BYTES bytes from the VIP and to it"
  local want got
  read -r want _ <"$run/big.sha256"
  got=$(in_host client curl -sS -m 60 "http://$VIP/big" | sha256sum)
  [[ ${got%% *} == "$want" ]] || fail "from the VIP they arrived damaged"
  got=$(in_host client curl -sS -m 60 -H Expect: --data-binary "@$run/big" -o /dev/null -w '%{http_code} %{size_upload}' "http://$VIP/")
  [[ $got == "200 $BIG_BYTES" ]] || fail "to the VIP they did not arrive (status and bytes: $got)"
  echo "  all arrived"
}

# neighbour HOST ADDRESS: the MAC that the host has for it
neighbour() { ip -n "$LAB$1" neighbour show to "$2" | sed -nE 's/.* lladdr (\S+).*/\1/p'; }

scene_neighbours() {
  say "Who has the VIP and the DIP"
  local host mac
  mac=$(neighbour client "$VIP")
  echo "  client: $VIP is at $mac"
  [[ $mac == "$PORT_MAC" ]] || fail "that is not the port"
  for host in "${servers[@]}"; do
    mac=$(neighbour "$host" "$DIP")
    echo "  $host: $DIP is at $mac"
    [[ $mac == "$PORT_MAC" ]] || fail "that is not the port"
  done
}

# book COUNT: from the books in the status
book() { api GET /v1/status | jq ".books.$1"; }

scene_health_traffic() {
  say "Health checks pass the port"
  local rx tx
  rx=$(book rx) tx=$(book tx)
  sleep $((2 * INTERVAL_MS / 1000))
  echo "  in $((2 * INTERVAL_MS)) ms: $(($(book rx) - rx)) frames in, $(($(book tx) - tx)) out"
  (($(book rx) > rx + 4 && $(book tx) > tx + 4)) || fail "the port saw fewer: they go past it"
}

# Who polls without a pause asks for no interrupt. Health checks raise none: the lcore sends their first frame and is awake.
# From e1000e none comes with DPDK 22.11, though its driver sets vectors up: there the lcore wakes up by its time-out.
scene_interrupts() {
  [[ $IDLE == adaptive && $NIC != e1000e ]] || return 0
  say "The NIC wakes the lcore"
  local before count
  before=$(interrupts)
  all_served "$(fetch 10 2)" 10
  count=$(($(interrupts) - before))
  echo "  while a client comes now and then: $count interrupts"
  ((count > 0)) || fail "it never does: $(grep vfio /proc/interrupts || echo "there is no interrupt of vfio")"
}

# interrupts: how many the NIC has raised, on all CPUs
interrupts() { awk -v nic="$DEVICE" 'index($0, nic) { for (i = 2; $i ~ /^[0-9]+$/; i++) sum += $i } END { print sum + 0 }' /proc/interrupts; }

balanced() { [[ $(book balanced) == true ]]; }

scene_books() {
  say "The books"
  wait_until 10 balanced || fail "they do not balance: $(api GET /v1/status | jq -c .books)"
  echo "  they balance"
  ask ports
}

scene_end() {
  say "turnout stops, and the NIC goes back to its driver"
  stop_turnout
  bind_nic unbind $DEVICE
}

# A fault is an address that the NIC used and DPDK had not mapped.
scene_iommu() {
  say "The IOMMU"
  dmesg | grep -E 'DMAR: (IOMMU enabled|Intel)' || fail "it was not at work"
  if faults | grep -v "$(harmless)"; then fail "it caught the NIC at addresses that are not its own"; fi
  echo "  faults: $(faults | wc -l), of turnout's: 0"
}

faults() { dmesg | grep -E 'DMAR: \[|fault addr' || true; }

# harmless: faults that are none of turnout's, as a pattern. DPDK's driver of vmxnet3 gives two commands before it has told
# the device where their parameters are; QEMU's device then looks for them at address 0.
harmless() {
  if [[ $NIC == vmxnet3 ]]; then echo 'DMA Read .* fault addr 0x0 '; else echo '^$'; fi
}

failed() {
  local status=$?
  ((status != 0)) || return 0
  tail -n 40 "$run/turnout.log" || true
  dmesg | grep -iE 'dmar|vfio|oom' | tail -n 20
}

trap failed EXIT
scene_bind
start
scene_pages
scene_four_steps
scene_big
scene_neighbours
scene_health_traffic
scene_interrupts
scene_failure
scene_tables
scene_books
scene_end
scene_iommu
say "All of it held."
