#!/usr/bin/env bash
# Tests of the scripts beside this one: realserver.sh and lab.sh in network namespaces made for it, bind-nic.sh against a
# tree of files that behaves like sysfs, deps.sh against a package manager that only writes down what it is asked.
set -euo pipefail

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
tmp=$(mktemp -d)
server=turnout-test-$$-rs
peer=turnout-test-$$-peer
prefix=tt$$-
VIP=192.0.2.100
NIC=0000:3b:00.0
kernel_pids=()
failures=0
output=

cleanup() {
  local pid namespace
  for pid in "${kernel_pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for namespace in "$server" "$peer" "${prefix}rs2"; do ip netns del "$namespace" 2>/dev/null || true; done
  rm -rf "$tmp"
}

# --- matchers ---------------------------------------------------------------------------------------------------------

report() {
  failures=$((failures + 1))
  echo "FAIL ${FUNCNAME[2]} (line ${BASH_LINENO[1]}): $1" >&2
  [[ -z $output ]] || printf '     | %s\n' "${output//$'\n'/$'\n     | '}" >&2
}

# succeeds CMD...
succeeds() {
  local status=0
  output=$("$@" 2>&1) || status=$?
  ((status == 0)) || report "exit status $status of: $*"
}

# refuses STATUS TEXT CMD...: ends with STATUS and says TEXT
refuses() {
  local want=$1 text=$2 status=0
  shift 2
  output=$("$@" 2>&1) || status=$?
  ((status == want)) || report "exit status $status where $want was wanted, of: $*"
  [[ $output == *"$text"* ]] || report "\"$text\" is not said by: $*"
}

# says TEXT: the command before said it
says() { [[ $output == *"$1"* ]] || report "\"$1\" is not said"; }

# same WHAT GOT WANT
same() {
  output=
  [[ $2 == "$3" ]] || report "$1: got \"$2\", want \"$3\""
}

# --- realserver.sh ----------------------------------------------------------------------------------------------------

in_server() { ip netns exec "$server" "$@"; }
realserver() { in_server env UNIT_DIR="$tmp" "$here/realserver.sh" "$@" --state "$tmp/realserver.state"; }

make_server() {
  ip netns add "$server"
  ip netns add "$peer"
  ip -n "$server" link add eth0 type veth peer name eth0 netns "$peer"
  ip -n "$server" address add 192.0.2.121/24 dev eth0
  ip -n "$peer" address add 192.0.2.135/24 dev eth0
  for namespace in "$server" "$peer"; do
    ip -n "$namespace" link set lo up
    ip -n "$namespace" link set eth0 up
  done
}

# answers ADDRESS: does the real server answer ARP for it?
answers() { ip netns exec "$peer" arping -q -c 1 -w 1 -I eth0 "$1"; }

network_state() {
  in_server ip -o address show | sed 's/ valid_lft.*//'
  in_server grep -rH . /proc/sys/net/ipv4/conf/{all,eth0,lo}/arp_{ignore,announce}
}

test_realserver_undoes_what_it_did() {
  local before
  in_server tee /proc/sys/net/ipv4/conf/eth0/arp_announce <<<1 >/dev/null
  before=$(network_state)
  succeeds realserver --apply --vip "$VIP" --vip 192.0.2.101 --dev eth0
  says "net/ipv4/conf/eth0/arp_announce: 1 -> 2"
  succeeds realserver --apply --vip "$VIP" --dev eth0
  says "$VIP: is on lo already"
  succeeds realserver --verify --vip "$VIP" --vip 192.0.2.101 --dev eth0
  succeeds realserver --undo --vip 192.0.2.101
  succeeds realserver --verify --vip "$VIP" --dev eth0
  succeeds realserver --undo
  same "the network after down" "$(network_state)" "$before"
  in_server tee /proc/sys/net/ipv4/conf/eth0/arp_announce <<<0 >/dev/null
}

test_realserver_is_silent_about_the_vip() {
  ip -n "$server" address add "$VIP/32" dev lo
  succeeds answers "$VIP"
  ip -n "$server" address del "$VIP/32" dev lo
  succeeds realserver --apply --vip "$VIP" --dev eth0
  refuses 1 "" answers "$VIP"
  succeeds answers 192.0.2.121
  succeeds realserver --undo
}

# An ip that writes down the ARP settings at the moment when the address is added.
test_realserver_sets_arp_before_the_vip() {
  mkdir -p "$tmp/spy"
  cat >"$tmp/spy/ip" <<END
#!/bin/sh
[ "\$1 \$2" != "address add" ] || cat /proc/sys/net/ipv4/conf/eth0/arp_ignore >"$tmp/at-add"
[ "\$1 \$2" != "address del" ] || cat /proc/sys/net/ipv4/conf/eth0/arp_ignore >"$tmp/at-del"
exec $(command -v ip) "\$@"
END
  chmod +x "$tmp/spy/ip"
  PATH=$tmp/spy:$PATH succeeds realserver --apply --vip "$VIP" --dev eth0
  PATH=$tmp/spy:$PATH succeeds realserver --undo
  same "arp_ignore when the VIP was added" "$(<"$tmp/at-add")" 1
  same "arp_ignore when the VIP was removed" "$(<"$tmp/at-del")" 1
}

# Each line: how to break it, what verify must say. What verify gives as the mend must mend it.
test_realserver_verify_names_each_mistake() {
  succeeds realserver --apply --vip "$VIP" --dev eth0
  local break say mend mends
  while IFS='|' read -r break say; do
    succeeds in_server sh -c "$break"
    refuses 1 "$say" realserver --verify --vip "$VIP" --dev eth0
    mapfile -t mends < <(sed -n 's/^ *mend: *//p' <<<"$output")
    for mend in "${mends[@]}"; do succeeds in_server sh -c "$mend"; done
    succeeds realserver --verify --vip "$VIP" --dev eth0
  done <<END
sysctl -w net/ipv4/conf/all/arp_ignore=0 net/ipv4/conf/eth0/arp_ignore=0|arp_ignore is 0
sysctl -w net/ipv4/conf/eth0/arp_ignore=3|arp_ignore is 3
sysctl -w net/ipv4/conf/all/arp_announce=0 net/ipv4/conf/eth0/arp_announce=1|arp_announce is 1
ip address del $VIP/32 dev lo|$VIP/32 is not on lo
ip address add $VIP/24 dev lo|lo with /24: lo takes the whole subnet
ip address del $VIP/32 dev lo; ip address add $VIP/32 dev eth0|$VIP is on eth0
ip link add eth1 type veth; ip link set eth1 up; ip route add default dev eth1; sysctl -w net/ipv4/conf/eth0/rp_filter=1|replies leave by eth1
ip link set eth0 down|eth0 is down
END
  ip -n "$server" link del eth1
  succeeds realserver --undo
}

test_realserver_leaves_what_is_not_its_own() {
  ip -n "$server" address add "$VIP/32" dev lo
  succeeds realserver --apply --vip "$VIP" --dev eth0
  in_server tee /proc/sys/net/ipv4/conf/all/arp_ignore <<<2 >/dev/null
  succeeds realserver --undo
  says "changed since by somebody else"
  same "a VIP that was there before" "$(in_server ip -o address show to "$VIP" | wc -l)" 1
  in_server tee /proc/sys/net/ipv4/conf/all/arp_ignore <<<0 >/dev/null
  ip -n "$server" address del "$VIP/32" dev lo
}

test_realserver_up_changes_nothing_when_the_vip_is_elsewhere() {
  local before
  ip -n "$server" address add "$VIP/24" dev eth0
  before=$(network_state)
  refuses 1 "$VIP is on eth0 with /24; remove it: ip address del $VIP/24 dev eth0" realserver --apply --vip "$VIP" --dev eth0
  same "the network after the refusal" "$(network_state)" "$before"
  ip -n "$server" address del "$VIP/24" dev eth0
}

test_realserver_refuses_bad_arguments() {
  refuses 1 "an IPv6 VIP is not available in this version" realserver --apply --vip 2001:db8::1 --dev eth0
  refuses 1 "is not an IPv4 address" realserver --apply --vip 192.0.2.256 --dev eth0
  refuses 1 "is not an IPv4 address" realserver --apply --vip "$VIP/32" --dev eth0
  refuses 1 "there is no interface eth7" realserver --apply --vip "$VIP" --dev eth7
  refuses 1 "not lo" realserver --apply --vip "$VIP" --dev lo
  refuses 2 "--vip is missing" realserver --apply --dev eth0
  refuses 2 "--dev is missing" realserver --apply --vip "$VIP"
  refuses 2 "usage:" realserver sideways
  succeeds realserver --undo
  says "nothing to undo"
}

# What it prints does the same as --apply.
test_realserver_prints_what_it_does() {
  succeeds realserver --vip "$VIP" --vip 192.0.2.101 --dev eth0
  says "sysctl -w net/ipv4/conf/all/arp_ignore=1 net/ipv4/conf/all/arp_announce=2 net/ipv4/conf/eth0/arp_ignore=1 net/ipv4/conf/eth0/arp_announce=2
ip address replace $VIP/32 dev lo
ip address replace 192.0.2.101/32 dev lo"
  local commands=$output
  same "the network after printing" "$(in_server ip -o address show to "$VIP")" ""
  printed_stops_at_a_failure "$commands"
  succeeds in_server sh -c "$commands"
  succeeds realserver --verify --vip "$VIP" --vip 192.0.2.101 --dev eth0
  undo_printed
  refuses 2 "do not go together" realserver --apply --verify --vip "$VIP" --dev eth0
}

# A VIP on lo without the ARP settings would take the clients of the whole segment.
printed_stops_at_a_failure() {
  mkdir -p "$tmp/failing"
  printf '#!/bin/sh\nexit 1\n' >"$tmp/failing/sysctl"
  chmod +x "$tmp/failing/sysctl"
  refuses 1 "" in_server env PATH="$tmp/failing:$PATH" sh -c "$1"
  same "the VIP after a sysctl that failed" "$(in_server ip -o address show to "$VIP")" ""
}

undo_printed() {
  ip -n "$server" address del "$VIP/32" dev lo
  ip -n "$server" address del 192.0.2.101/32 dev lo
  in_server tee /proc/sys/net/ipv4/conf/{all,eth0}/arp_{ignore,announce} <<<0 >/dev/null
}

# A systemctl that writes down what it is asked, and runs what the unit says should it be stopped.
make_systemctl() {
  mkdir -p "$tmp/systemd"
  cat >"$tmp/systemd/systemctl" <<END
#!/bin/sh
echo "\$*" >>"$tmp/systemctl.log"
case \$* in *--now*) sed -n 's/^ExecStop=-//p' "$tmp/turnout-realserver.service" | sh ;; esac
END
  chmod +x "$tmp/systemd/systemctl"
}

test_realserver_lasts_over_a_boot() {
  make_systemctl
  local PATH=$tmp/systemd:$PATH unit=$tmp/turnout-realserver.service
  succeeds realserver --vip "$VIP" --dev bond-0 --boot --before nginx.service
  says 'After=sys-subsystem-net-devices-bond\x2d0.device'
  says "Before=network-online.target nginx.service"
  says "systemctl enable turnout-realserver.service"
  succeeds realserver --apply --boot --vip "$VIP" --dev eth0
  same "what systemd was asked" "$(<"$tmp/systemctl.log")" $'daemon-reload\nenable --quiet turnout-realserver.service'
  succeeds realserver --undo
  [[ ! -e $unit ]] || report "the unit is still there"
  boots_with_the_unit
}

# What systemd does at boot and as it stops: state of --apply does not outlive a boot.
boots_with_the_unit() {
  succeeds realserver --apply --boot --vip "$VIP" --dev eth0
  cp "$unit" "$tmp/booted.service"
  succeeds realserver --undo
  cp "$tmp/booted.service" "$unit"
  succeeds in_server sh -ec "$(sed -n 's/^ExecStart=//p' "$unit")"
  succeeds realserver --verify --vip "$VIP" --dev eth0
  succeeds realserver --undo
  same "the VIP after the undo" "$(in_server ip -o address show to "$VIP")" ""
  in_server tee /proc/sys/net/ipv4/conf/{all,eth0}/arp_{ignore,announce} <<<0 >/dev/null
}

# --- bind-nic.sh ------------------------------------------------------------------------------------------------------

bind_nic() {
  SYSFS_ROOT=$tmp/sys STATE_DIR=$tmp/nic HUGETLBFS=$tmp/hugepages ip netns exec "$server" "$here/bind-nic.sh" "$@"
}

# A machine with one ixgbe NIC, nic0, alone in its IOMMU group. What the kernel listens to are FIFOs.
make_sysfs() {
  local pci=$tmp/sys/bus/pci device=$tmp/sys/bus/pci/devices/$NIC
  mkdir -p "$pci"/drivers/{ixgbe,vfio-pci,ahci} "$device/net/nic0" "$tmp/sys/class/net/nic0" \
    "$tmp/sys/kernel/iommu_groups/7/devices" "$tmp/sys/kernel/mm/hugepages/hugepages-2048kB"
  mkfifo "$pci/drivers_probe" "$pci"/drivers/{ixgbe,vfio-pci}/unbind
  echo 0x020000 >"$device/class"
  echo -1 >"$device/numa_node"
  : >"$device/driver_override"
  ln -s ../../drivers/ixgbe "$device/driver"
  ln -s ../../../../kernel/iommu_groups/7 "$device/iommu_group"
  ln -s "$device" "$tmp/sys/kernel/iommu_groups/7/devices/$NIC"
  tee "$tmp"/sys/kernel/mm/hugepages/hugepages-2048kB/{nr,free}_hugepages <<<0 >/dev/null
  ip -n "$server" link add nic0 type veth
  ip -n "$server" link set nic0 up
}

start_kernel() {
  local driver
  for driver in ixgbe vfio-pci; do
    kernel_unbind "$driver" &
    kernel_pids+=($!)
  done
  kernel_probe &
  kernel_pids+=($!)
}

# Reading and writing at once keeps the FIFO open between two writers.
kernel_unbind() {
  local address fifo=$tmp/sys/bus/pci/drivers/$1/unbind
  while read -r address; do rm "$tmp/sys/bus/pci/devices/$address/driver"; done <>"$fifo"
}

kernel_probe() {
  local address driver
  while read -r address; do
    driver=$(<"$tmp/sys/bus/pci/devices/$address/driver_override")
    [[ $driver != vfio-pci || ! -e $tmp/vfio-refuses ]] || continue
    ln -s "../../drivers/${driver:-ixgbe}" "$tmp/sys/bus/pci/devices/$address/driver"
  done <>"$tmp/sys/bus/pci/drivers_probe"
}

nic_driver() { basename "$(readlink "$tmp/sys/bus/pci/devices/$NIC/driver")"; }

test_bind_nic_and_back() {
  succeeds bind_nic bind 3b:00.0 --hugepages 512
  says "$NIC: ixgbe -> vfio-pci"
  says "hugepages: 0 -> 512"
  same "the driver" "$(nic_driver)" vfio-pci
  same "hugepages" "$(<"$tmp/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")" 512
  succeeds bind_nic bind "$NIC" --hugepages 256
  says "is bound to vfio-pci already"
  says "hugepages: 512 are reserved already"
  succeeds bind_nic status
  says "$NIC   vfio-pci"
  succeeds bind_nic unbind "$NIC"
  says "$NIC: vfio-pci -> ixgbe"
  same "the driver" "$(nic_driver)" ixgbe
  same "driver_override" "$(<"$tmp/sys/bus/pci/devices/$NIC/driver_override")" ""
  succeeds bind_nic unbind "$NIC"
  says "is not bound to vfio-pci (driver: ixgbe)"
}

test_bind_nic_refuses_a_nic_in_use() {
  ip -n "$server" address add 198.51.100.1/24 dev nic0
  refuses 1 "has the address 198.51.100.1/24 in use" bind_nic bind "$NIC"
  ip -n "$server" route add default via 198.51.100.254
  refuses 1 "carries the default route" bind_nic bind "$NIC"
  succeeds bind_nic bind "$NIC" --force
  succeeds bind_nic unbind "$NIC"
  ip -n "$server" address flush dev nic0
  mkdir "$tmp/sys/class/net/nic0/upper_bond0"
  refuses 1 "is part of bond0" bind_nic bind "$NIC"
  rmdir "$tmp/sys/class/net/nic0/upper_bond0"
  same "the driver" "$(nic_driver)" ixgbe
}

test_bind_nic_refuses_what_vfio_cannot_do() {
  local device=$tmp/sys/bus/pci/devices/$NIC
  mv "$device/iommu_group" "$tmp/group"
  refuses 1 "no IOMMU is at work" bind_nic bind "$NIC"
  mv "$tmp/group" "$device/iommu_group"
  mkdir "$tmp/sys/kernel/iommu_groups/7/devices/0000:3b:00.1"
  ln -s "$tmp/sys/bus/pci/drivers/ahci" "$tmp/sys/kernel/iommu_groups/7/devices/0000:3b:00.1/driver"
  refuses 1 "0000:3b:00.1 (driver ahci) is in the same IOMMU group" bind_nic bind "$NIC"
  rm -r "$tmp/sys/kernel/iommu_groups/7/devices/0000:3b:00.1"
  touch "$tmp/vfio-refuses"
  refuses 1 "vfio-pci did not take it (dmesg says why); it is with ixgbe again" bind_nic bind "$NIC"
  rm "$tmp/vfio-refuses"
  same "the driver" "$(nic_driver)" ixgbe
}

test_bind_nic_refuses_bad_arguments() {
  refuses 1 "there is no PCI device 0000:5e:00.0" bind_nic bind 5e:00.0
  refuses 2 "is not a PCI address" bind_nic bind eth0
  refuses 2 "the NIC's PCI address is missing" bind_nic bind
  refuses 2 "--hugepages needs a number" bind_nic bind "$NIC" --hugepages many
  refuses 2 "usage:" bind_nic sideways
  echo 0x010802 >"$tmp/sys/bus/pci/devices/$NIC/class"
  refuses 1 "is not a NIC" bind_nic bind "$NIC" --force
  echo 0x020000 >"$tmp/sys/bus/pci/devices/$NIC/class"
}

# --- deps.sh ----------------------------------------------------------------------------------------------------------

deps() { PATH=$tmp/packages:$PATH POLICY_RC_D=$tmp/policy-rc.d "$here/deps.sh" "$@"; }

fake() {
  mkdir -p "$tmp/packages"
  printf '#!/bin/sh\n%s\n' "$2" >"$tmp/packages/$1"
  chmod +x "$tmp/packages/$1"
}

test_deps_installs_what_is_missing_only() {
  # shellcheck disable=SC2016 # expanded when the script runs
  fake dpkg-query 'shift 3; for p; do [ "$p" = tcpdump ] || echo "installed $p"; done'
  fake go 'echo go1.26.0'
  fake systemctl ''
  fake apt-get "echo \"\$*\" >>$tmp/apt; ls $tmp/policy-rc.d >>$tmp/apt 2>/dev/null || true"
  succeeds deps build
  same "what deps.sh says when nothing is missing" "$output" ""
  succeeds deps demo
  says "installing Debian packages: tcpdump"
  same "apt-get" "$(<"$tmp/apt")" "update -qq
install -qq -y --no-install-recommends tcpdump
$tmp/policy-rc.d"
  same "policy-rc.d left behind" "$(ls "$tmp/policy-rc.d" 2>/dev/null)" ""
}

test_deps_checks_go() {
  fake go 'echo go1.25.9'
  refuses 1 "is go1.25.9, turnout needs Go 1.26 or newer" deps build
  fake go 'echo go1.27.1'
  succeeds deps build
  refuses 2 "usage:" deps everything
}

# --- lab.sh -----------------------------------------------------------------------------------------------------------

lab() { LAB=$prefix XDG_RUNTIME_DIR=$tmp/run "$here/lab.sh" "$@"; }

namespaces() { ip netns list | awk -v prefix="$prefix" 'index($1, prefix) == 1 { print $1 }'; }

# A TAP stands for turnout's port.
lab_plugs_the_port_in() {
  succeeds lab exec director ip tuntap add dp0 mode tap
  succeeds lab exec director ip link set dp0 up
  succeeds lab attach
  succeeds ip -n "${prefix}lan" -brief link show dp0 master br0
  says "02:00:00:00:ff:01"
  refuses 1 "does not exist" lab exec director ip link show dp0
}

test_lab_up_and_down() {
  succeeds lab up
  succeeds lab up
  says "is up already"
  succeeds lab status
  succeeds lab exec client curl -sS -m 5 http://192.168.57.122/
  same "the page of rs2" "$output" rs2
  succeeds lab exec rs3 "$here/realserver.sh" --verify --vip 192.168.57.100 --dev eth0
  succeeds lab nginx rs2 stop
  refuses 7 "" lab exec client curl -sS -m 5 http://192.168.57.122/
  succeeds lab nginx rs2 start
  lab_plugs_the_port_in
  succeeds lab down
  succeeds lab down
  same "namespaces left" "$(namespaces)" ""
  same "files left" "$(ls "$tmp/run")" ""
}

test_lab_takes_a_failed_up_back() {
  ip netns add "${prefix}rs2"
  refuses 1 "${prefix}rs2 is there already" lab up
  same "namespaces left" "$(namespaces)" "${prefix}rs2"
  ip netns del "${prefix}rs2"
  refuses 1 "is down" lab status
}

# ----------------------------------------------------------------------------------------------------------------------

# A program that needs a library which is then taken away, as turnout without DPDK.
test_turnout_says_what_is_missing() {
  local dir=$tmp/launch
  mkdir -p "$dir/dpdk"
  cp "$here/turnout.sh" "$dir/turnout"
  echo 'int there(void) { return 0; }' | gcc -x c - -shared -fPIC -o "$dir/librte_there.so"
  echo 'int there(void); int main(int n, char **args) { return there() + n; }' | gcc -x c - -o "$dir/dpdk/turnout" \
    -L"$dir" -lrte_there -Wl,-rpath,"$dir"
  refuses 3 "" "$dir/turnout" run -c
  rm "$dir/librte_there.so"
  refuses 1 "turnout: DPDK is missing (librte_there.so and 0 more libraries are not found): install it" "$dir/turnout" run -c
  cp "$here/realserver.sh" "$dir/dpdk/"
  succeeds "$dir/turnout" realserver --vip "$VIP" --dev eth0
  says "ip address replace $VIP/32 dev lo"
}

main() {
  if ((EUID != 0)); then
    echo "SKIP test-scripts.sh: network namespaces need root" >&2
    [[ ${CI:-} != true ]] || exit 1
    return
  fi
  trap cleanup EXIT
  make_server
  make_sysfs
  start_kernel
  local name
  for name in $(declare -F | awk '$3 ~ /^test_/ { print $3 }'); do
    output=
    "$name"
  done
  ((failures == 0)) || exit 1
  echo "ok scripts"
}

main "$@"
