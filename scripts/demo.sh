#!/usr/bin/env bash
# Shows turnout at work in the lab (lab.sh), on a virtual port, without hugepages. Every claim that it prints is checked;
# the first that does not hold ends the demo with exit status 1.
#
#   demo.sh        the demo, under a minute; DEMO_KEEP=1 leaves lab and turnout up afterwards
#   demo.sh lab    only set up, to play with
#   demo.sh down   end what was left up
set -euo pipefail

# shellcheck source=lab.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lab.sh"

turnout=$(dirname "$scripts")/bin/turnout
PORT_MAC=02:00:00:00:01:20
DEVICE="net_tap0,iface=dp0,mac=$PORT_MAC"
HUGEPAGES=false
IDLE=${IDLE:-}
SERVICE=web
INTERVAL_MS=1000
TIMEOUT_MS=1000
FALL=2

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

# --- the director -----------------------------------------------------------------------------------------------------

write_configuration() {
  cat >"$run/turnout.yaml" <<END
dpdk: {main_lcore: 0, lcores: [1], hugepages: $HUGEPAGES, memory_mb: 128, idle: "$IDLE"}
ports:
  - name: lan
    device: "$DEVICE"
    address: 192.168.57.120/24
    kernel_interface: dip0
flow_table: {entries: 65536}
maglev_key_file: $run/maglev.key
mgmt: {listen: ["unix:$run/turnout.sock"], socket_group: root}
services_file: services.yaml
END
  cat >"$run/services.yaml" <<END
services:
  - name: $SERVICE
    vip: $VIP
    protocol: tcp
    port: 80
    scheduler: maglev
    health_check: {type: http, interval: ${INTERVAL_MS}ms, timeout: ${TIMEOUT_MS}ms, rise: 2, fall: $FALL}
    real_servers:
$(for host in "${servers[@]}"; do echo "      - {address: $(server_address "$host"), weight: 1}"; done)
END
}

start_turnout() {
  setsid ip netns exec "${LAB}director" "$turnout" run -c "$run/turnout.yaml" >"$run/turnout.log" 2>&1 </dev/null &
  echo $! >"$run/turnout.pid"
  wait_until 5 started_or_ended || fail "turnout ended, see its log"
}

# Until turnout itself is what the process runs, after setsid and ip, it may have no command line for a moment. An end is
# as final as a start.
started_or_ended() {
  local pid
  pid=$(<"$run/turnout.pid")
  { [[ /proc/$pid/exe -ef ${turnout%/*}/dpdk/turnout ]] && turnout_pid >/dev/null; } || ! kill -0 "$pid" 2>/dev/null
}

turnout_pid() {
  local pid
  pid=$(cat "$run/turnout.pid" 2>/dev/null) || return 1
  [[ $(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline") == *"$run/turnout.yaml"* ]] || return 1
  echo "$pid"
}

turnout_stopped() { ! turnout_pid >/dev/null; }

stop_turnout() {
  local pid
  pid=$(turnout_pid) || return 0
  kill -TERM "$pid"
  wait_until 5 turnout_stopped || {
    kill -KILL "$pid"
    echo "demo.sh: turnout did not stop within 5 s of SIGTERM and was killed" >&2
  }
}

# api METHOD PATH
api() { curl -sS --fail-with-body -m 5 --unix-socket "$run/turnout.sock" -X "$1" "http://localhost$2"; }

ask() { "$turnout" "$@" --server "unix:$run/turnout.sock"; }

check_turnout() { turnout_pid >/dev/null || fail "turnout ended, see its log"; }

plug_in() {
  wait_until 20 port_is_up || fail "turnout's port does not come up"
  attach dp0
}

port_is_up() {
  check_turnout
  link_is_up director dp0
}

ready() {
  check_turnout
  api GET /readyz >/dev/null 2>&1
}

# live ADDRESS FIELD: from the state beside the real server's configuration
live() { api GET "/v1/services/$SERVICE/real-servers/$1" | jq -r ".live.$2"; }

servers_in_state() {
  [[ $(api GET "/v1/services/$SERVICE" 2>/dev/null | jq "[.live.real_servers[] | select(.state == \"$1\")] | length") == "$2" ]]
}

# Comes before the traps: they take down whatever lab is there.
check_start() {
  [[ -x $turnout ]] || fail "there is no $turnout; run: make build"
  [[ ! -e $run/complete ]] || fail "a lab is up already; end it first: scripts/demo.sh down"
}

start() {
  "$scripts/lab.sh" up
  write_configuration
  start_turnout
  plug_in
  wait_until 20 ready || fail "turnout is not ready: $(api GET /readyz 2>&1 || true); see $run/turnout.log"
  wait_until 10 servers_in_state up "${#servers[@]}" || fail "the real servers do not all come up: $(ask real-servers)"
}

stop() {
  stop_turnout
  down
}

# --- the client -------------------------------------------------------------------------------------------------------

# fetch COUNT RATE: a connection for each page, RATE pages a second; a line "who-served-it status" for each
fetch() {
  in_host client curl -s -m 60 --rate "$2/s" --connect-timeout 2 -H 'Connection: close' -o /dev/null \
    -w '%header{x-served-by} %{http_code}\n' "http://$VIP/?page=[1-$1]" || true
}

served() { grep -c ' 200$' <<<"$1" || true; }

# print_pages PAGES: how many each real server served
print_pages() { sort <<<"$1" | uniq -c | awk '{ printf "  %-4s served %3d pages, status %s\n", $2, $1, $3 }'; }

# all_served PAGES COUNT
all_served() {
  (($(served "$1") == $2)) || fail "only $(served "$1") of $2 pages came: $(sort <<<"$1" | uniq -c | xargs)"
}

# --- the scenes -------------------------------------------------------------------------------------------------------

scene_pages() {
  say "12 pages through the VIP $VIP"
  local pages
  pages=$(fetch 12 100)
  print_pages "$pages"
  all_served "$pages" 12
  (($(cut -d' ' -f1 <<<"$pages" | sort -u | wc -l) >= 2)) || fail "one real server served them all"
}

scene_four_steps() {
  say "LVS-DR's four steps, captured"
  "$scripts/four-steps.sh" "$PORT_MAC"
}

# A real server is out at the latest after FALL probes in a row have failed, the last one by its time-out.
scene_failure() {
  say "nginx on rs1 is killed"
  local limit=$((FALL * INTERVAL_MS + TIMEOUT_MS)) killed out_after pages
  killed=$(date +%s%3N)
  stop_nginx rs1
  wait_until 10 servers_in_state down 1 || fail "rs1 is still up after 10 s"
  out_after=$(($(date -d "$(live "$(server_address rs1)" health.since)" +%s%3N) - killed))
  echo "  out after $out_after ms (limit: $FALL probes x $INTERVAL_MS ms + $TIMEOUT_MS ms = $limit ms)"
  ((out_after <= limit)) || fail "that is too late"
  pages=$(fetch 100 1000)
  print_pages "$pages"
  all_served "$pages" 100
  ! grep -q '^rs1 ' <<<"$pages" || fail "rs1 served a page after its death"
}

# Nothing is in force before it is known what it does, and nobody is cut off.
scene_drain() {
  say "What would change if rs2 went: turnout apply --dry-run"
  grep -v "$(server_address rs2)" "$run/services.yaml" >"$run/without-rs2.yaml"
  ask apply -f "$run/without-rs2.yaml" --dry-run
  say "rs2 is drained instead: turnout drain $SERVICE $(server_address rs2) --deadline 10m"
  ask drain "$SERVICE" "$(server_address rs2)" --deadline 10m
  local pages
  pages=$(fetch 50 1000)
  print_pages "$pages"
  all_served "$pages" 50
  ! grep -q '^rs2 ' <<<"$pages" || fail "rs2 served a page while it was drained"
  ask undrain "$SERVICE" "$(server_address rs2)"
}

# What rs2 has in hand it serves to the end: a removed real server keeps its flows for a few seconds.
scene_removal() {
  say "rs2 is removed by the API while pages are fetched"
  fetch 300 100 >"$run/pages" &
  local fetching=$!
  sleep 1
  api DELETE "/v1/services/$SERVICE/real-servers/$(server_address rs2)" >/dev/null
  wait "$fetching"
  print_pages "$(<"$run/pages")"
  all_served "$(<"$run/pages")" 300
  [[ $(tail -n 1 "$run/pages") == rs3\ * ]] || fail "the last page did not come from rs3"
}

scene_tables() {
  say "turnout services"
  ask services
  say "turnout real-servers"
  ask real-servers
  say "turnout flows --limit 5"
  ask flows --limit 5
  say "turnout status"
  ask status
}

demo() {
  check_start
  trap end EXIT
  local begin=$SECONDS
  say "A lab of network namespaces, and turnout in it"
  start
  scene_pages
  scene_four_steps
  scene_failure
  scene_drain
  scene_removal
  scene_tables
  say "All of it held. ($((SECONDS - begin)) s)"
}

# end: whatever happened, unless it shall stay
end() {
  local status=$?
  ((status == 0)) || tail -n 20 "$run/turnout.log" >&2 2>/dev/null || true
  if [[ ${DEMO_KEEP:-} == 1 && -e $run/complete ]]; then
    print_guide
  else
    stop
  fi
  exit "$status"
}

lab() {
  check_start
  trap 'status=$?; ((status == 0)) || stop; exit "$status"' EXIT
  start
  print_guide
}

print_guide() {
  local exec=$scripts/lab.sh
  [[ $LAB == to- ]] || exec="LAB=$LAB $exec"
  cat <<END

The lab is up, turnout runs in it (log: $run/turnout.log). Try:
  $exec exec client curl -s http://$VIP/
  $exec exec client curl -s http://$VIP/big | sha256sum      # $(cut -d' ' -f1 "$run/big.sha256")
  $exec nginx rs1 stop                                       # and start
  $exec exec lan tcpdump -e -n -i dp0 host $VIP
  $turnout real-servers --server unix:$run/turnout.sock
  \$EDITOR $run/services.yaml; kill -HUP $(turnout_pid)
End it with: ${exec/lab.sh/demo.sh} down
END
}

main() {
  ((EUID == 0)) || fail "network namespaces need root: sudo $0 ${1:-}"
  case ${1:-demo} in
    demo) demo ;;
    lab) lab ;;
    down) stop ;;
    *) fail "usage: demo.sh [lab|down]" ;;
  esac
}

# e2e/vfio/checks.sh reads this file for its scenes.
[[ ${BASH_SOURCE[0]} != "$0" ]] || main "$@"
