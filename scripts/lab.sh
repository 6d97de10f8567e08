#!/usr/bin/env bash
# The lab: the small network of LVS-DR textbooks, out of network namespaces.
#
#   lan       br0, one Linux bridge, in a namespace of its own (ARP flux: a bridge beside the DIP would answer for it)
#   client    192.168.57.135
#   rs1..rs3  192.168.57.121 to .123, nginx on port 80, the VIP on lo, ARP suppressed
#   director  empty but for lo: turnout is started there, and its port is plugged into the bridge by "attach"
set -euo pipefail

scripts=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
LAB=${LAB:-to-}
run=${XDG_RUNTIME_DIR:-/run}/turnout-lab/${LAB%-}
made=$run/namespaces
servers=(rs1 rs2 rs3)

VIP=192.168.57.100
CLIENT=192.168.57.135
# What the kernel's end of the port (dp0) is given. It must differ from the MAC of the DPDK end: a bridge keeps for
# itself each frame that is addressed to one of its own ports.
KERNEL_END_MAC=02:00:00:00:ff:01
BIG_BYTES=${BIG_BYTES:-$((50 * 1024 * 1024))}

[[ $LAB =~ ^[a-z0-9][a-z0-9-]{0,31}$ ]] || {
  echo "LAB=$LAB: use lower-case letters, digits and dashes" >&2
  exit 2
}

usage() {
  cat <<END
usage: lab.sh up                   lay out the lab
       lab.sh down                 remove all that "up" made
       lab.sh status               what is there
       lab.sh exec HOST CMD...     run a command on client, rs1, rs2, rs3, director or lan
       lab.sh attach [dp0]         plug the port that turnout has made in director into the bridge
       lab.sh nginx HOST start|stop
       lab.sh dir                  print the run directory

LAB=$LAB is the prefix of the namespaces' names; the run directory is $run
END
}

fail() {
  echo "${0##*/}: $*" >&2
  exit 1
}

# server_number rs2 -> 2
server_number() { echo "${1#rs}"; }
server_address() { echo "192.168.57.12$(server_number "$1")"; }
server_mac() { echo "02:00:00:00:01:2$(server_number "$1")"; }

in_host() {
  local host=$1
  shift
  ip netns exec "$LAB$host" "$@"
}

has_namespace() { [[ -e /run/netns/$LAB$1 ]]; }

# A namespace is written down before it is made, so that "down" knows it even if "up" dies in between; one that was there
# before is somebody else's.
make_namespace() {
  local host=$1
  if has_namespace "$host"; then
    fail "a network namespace $LAB$host is there already and is not of this lab; remove it (ip netns del $LAB$host) or choose another prefix with LAB="
  fi
  echo "$host" >>"$made"
  ip netns add "$LAB$host"
  quiet_ipv6 "$host"
  ip -n "$LAB$host" link set lo up
}

# Router solicitations and neighbour discovery would only be noise in the captures.
quiet_ipv6() {
  [[ -d /proc/sys/net/ipv6 ]] || return 0
  in_host "$1" tee /proc/sys/net/ipv6/conf/{all,default}/disable_ipv6 <<<1 >/dev/null
}

# With br_netfilter loaded, the rules of a packet filter would see the frames on the bridge.
bypass_packet_filter() {
  [[ -d /proc/sys/net/bridge ]] || return 0
  in_host lan tee /proc/sys/net/bridge/bridge-nf-call-{ip,ip6,arp}tables <<<0 >/dev/null
}

make_bridge() {
  make_namespace lan
  bypass_packet_filter
  ip -n "${LAB}lan" link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0
  ip -n "${LAB}lan" link set br0 up
}

# plug_host HOST MAC ADDRESS: a namespace with eth0 on the bridge, where its port has the host's name
plug_host() {
  local host=$1 mac=$2 address=$3
  make_namespace "$host"
  ip -n "${LAB}lan" link add "$host" type veth peer name eth0 address "$mac" netns "$LAB$host"
  ip -n "${LAB}lan" link set "$host" master br0 up
  # With offloads on, captures would show checksums not yet filled in and frames longer than the MTU.
  in_host "$host" ethtool -K eth0 tx off tso off gso off gro off >/dev/null
  ip -n "$LAB$host" address add "$address/24" dev eth0
  ip -n "$LAB$host" link set eth0 up
}

nginx_config() {
  local host=$1
  cat <<END
user root;
worker_processes 1;
pid $run/$host.pid;
error_log $run/$host.error.log;
events { worker_connections 1024; }
http {
  access_log $run/$host.access.log;
  default_type text/plain;
  sendfile on;
  server {
    listen 80;
    add_header X-Served-By $host always;
    location = /big { alias $run/big; }
    location / { return 200 "$host\n"; }
  }
}
END
}

start_nginx() {
  local host=$1
  nginx_config "$host" >"$run/$host.conf"
  in_host "$host" nginx -e "$run/$host.error.log" -c "$run/$host.conf"
  wait_until 5 nginx_pid "$host" >/dev/null || fail "nginx of $host did not start; see $run/$host.error.log"
}

nginx_pid() {
  local host=$1 pid
  pid=$(cat "$run/$host.pid" 2>/dev/null) || return 1
  [[ $(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline") == *"$run/$host.conf"* ]] || return 1
  echo "$pid"
}

stop_nginx() {
  local host=$1 pid
  pid=$(nginx_pid "$host") || return 0
  kill -TERM "$pid"
  wait_until 5 nginx_stopped "$host" || fail "nginx of $host (pid $pid) does not end"
}

nginx_stopped() { ! nginx_pid "$1" >/dev/null; }

# wait_until SECONDS CMD...: looks every 50 ms
wait_until() {
  local tries=$(($1 * 20))
  shift
  until "$@"; do
    ((tries-- > 0)) || return 1
    sleep 0.05
  done
}

make_server() {
  local host=$1
  plug_host "$host" "$(server_mac "$host")" "$(server_address "$host")"
  in_host "$host" "$scripts/realserver.sh" --apply --vip "$VIP" --dev eth0 --state "$run/$host.realserver" >>"$run/log"
  start_nginx "$host"
}

# Until "attach" moves it away, the port's kernel end stands beside the DIP's interface; arp_ignore keeps it from
# answering for the DIP.
make_director() {
  make_namespace director
  in_host director tee /proc/sys/net/ipv4/conf/default/arp_ignore <<<1 >/dev/null
}

make_big_file() {
  head -c "$BIG_BYTES" /dev/urandom >"$run/big"
  (cd "$run" && sha256sum big >big.sha256)
}

up() {
  if [[ -e $run/complete ]]; then
    echo "lab: is up already"
    return
  fi
  down
  mkdir -p "$run"
  chmod 0755 "$run"
  trap 'echo "lab: up failed, removing what was made" >&2; down' EXIT
  make_big_file
  make_bridge
  plug_host client 02:00:00:00:01:35 "$CLIENT"
  for host in "${servers[@]}"; do make_server "$host"; done
  make_director
  trap - EXIT
  touch "$run/complete"
  echo "lab: up; namespaces ${LAB}lan ${LAB}client ${LAB}rs1..3 ${LAB}director, files in $run"
}

down() {
  [[ -d $run ]] || return 0
  for host in "${servers[@]}"; do stop_nginx "$host"; done
  if [[ -e $made ]]; then
    while read -r host; do remove_namespace "$host"; done <"$made"
  fi
  rm -rf "$run"
  rmdir --ignore-fail-on-non-empty "$(dirname "$run")"
}

remove_namespace() {
  local host=$1 pids
  has_namespace "$host" || return 0
  pids=$(ip netns pids "$LAB$host" | tr '\n' ' ')
  if [[ -n $pids ]]; then
    echo "lab: still running in $LAB$host, not started by the lab, left alone: pid $pids" >&2
  fi
  ip netns del "$LAB$host"
}

# The port is made by turnout in the namespace that it runs in; its kernel end belongs on the bridge. It may move only
# when it is up, for DPDK finds it by name while it sets up the queues.
attach() {
  local port=${1:-dp0}
  if ! wait_until 20 link_is_up director "$port"; then
    fail "no interface $port came up in ${LAB}director within 20 s; is turnout running there with device \"net_tap0,iface=$port\"?"
  fi
  sleep 0.2 # up is not the last that DPDK does to it
  ip -n "${LAB}director" link set "$port" netns "${LAB}lan"
  ip -n "${LAB}lan" link set "$port" address "$KERNEL_END_MAC"
  ip -n "${LAB}lan" link set "$port" master br0 up
}

link_is_up() { [[ -n $(ip -n "$LAB$1" link show dev "$2" up 2>/dev/null) ]]; }

status() {
  if [[ ! -e $run/complete ]]; then
    echo "lab: is down"
    return 1
  fi
  echo "run directory: $run"
  ip -n "${LAB}lan" -brief link show master br0
  for host in client "${servers[@]}"; do host_status "$host"; done
}

host_status() {
  local host=$1 served=-
  if [[ $host == rs* ]]; then served="nginx $(nginx_pid "$host" || echo stopped)"; fi
  echo "$host: $(ip -n "$LAB$host" -brief -4 address show | awk '{for (i = 3; i <= NF; i++) printf "%s ", $i}')$served"
}

nginx_command() {
  local host=${1:-} verb=${2:-}
  [[ " ${servers[*]} " == *" $host "* ]] || fail "nginx runs on ${servers[*]}, not on \"$host\""
  case $verb in
    start) nginx_pid "$host" >/dev/null || start_nginx "$host" ;;
    stop) stop_nginx "$host" ;;
    *) usage >&2 && exit 2 ;;
  esac
}

exec_command() {
  (($# >= 2)) || { usage >&2 && exit 2; }
  has_namespace "$1" || fail "there is no host $1 (client, rs1, rs2, rs3, director, lan), or the lab is not up"
  in_host "$@"
}

main() {
  local verb=${1:-}
  shift || true
  case $verb in
    dir) echo "$run" && return ;;
    -h | --help | help) usage && return ;;
  esac
  ((EUID == 0)) || fail "network namespaces need root: sudo $0 $verb"
  case $verb in
    up | down | status) "$verb" ;;
    attach) attach "$@" ;;
    exec) exec_command "$@" ;;
    nginx) nginx_command "$@" ;;
    *) usage >&2 && exit 2 ;;
  esac
}

# demo.sh and four-steps.sh read this file for its names and functions.
[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
