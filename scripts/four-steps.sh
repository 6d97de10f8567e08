#!/usr/bin/env bash
# LVS-DR's four steps, as seen on the wire of the lab: one connection from the client to the VIP, captured at the client,
# at the director's port and at the real servers, is printed as a table and checked.
set -euo pipefail

# shellcheck source=lab.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lab.sh"

# Nobody else uses this L4 port, so it tells the connection from all others.
SOURCE_PORT=${SOURCE_PORT:-42135}
CLIENT_MAC=02:00:00:00:01:35
captures=()
faults=0
dir=

cleanup() {
  stop_captures
  rm -rf "$dir"
}

# --- capture ----------------------------------------------------------------------------------------------------------

# capture HOST INTERFACE FILTER: into $dir/HOST.pcap
capture() {
  local host=$1 interface=$2 filter=$3
  ip netns exec "$LAB$host" tcpdump --immediate-mode -i "$interface" -U -w "$dir/$host.pcap" "$filter" 2>"$dir/$host.log" &
  captures+=($!)
  wait_until 5 grep -qs 'listening on' "$dir/$host.log" || fail "tcpdump does not start at $host: $(<"$dir/$host.log")"
}

stop_captures() {
  local pid
  for pid in "${captures[@]}"; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  captures=()
}

# fetch_page: one page over one connection; prints who served it
fetch_page() {
  in_host client curl -sS -m 5 --local-port "$SOURCE_PORT" -H 'Connection: close' "http://$VIP/"
}

# captures_agree: both ends have closed, and what the client sent is seen at every place (twice at the port). If it never
# comes to that, the checks say what is missing.
captures_agree() {
  local from_client="src host $CLIENT" sent
  [[ -n $(frames client "$from_client and tcp[tcpflags] & tcp-fin != 0") ]] || return 1
  [[ -n $(frames client "src host $VIP and tcp[tcpflags] & tcp-fin != 0") ]] || return 1
  sent=$(frames client "$from_client" | wc -l)
  (($(frames "$server" "$from_client" | wc -l) == sent && $(frames lan "$from_client" | wc -l) == 2 * sent))
}

# --- read -------------------------------------------------------------------------------------------------------------

# frames HOST FILTER: a line "source-MAC destination-MAC source destination" for each frame
frames() {
  tcpdump -r "$dir/$1.pcap" -e -n -t "$2" 2>/dev/null |
    sed -nE 's/^(\S+) > (\S+), .* length [0-9]+: (\S+)\.([0-9]+) > (\S+)\.([0-9]+): .*/\1 \2 \3:\4 \5:\6/p'
}

first() { frames "$@" | sed -n 1p; }

# packets HOST FILTER: the IP packets' bytes
packets() { tcpdump -r "$dir/$1.pcap" -n -t -x "$2" 2>/dev/null | grep $'^\t'; }

# --- print ------------------------------------------------------------------------------------------------------------

name_of() {
  case $1 in
    "$CLIENT_MAC") echo client ;;
    "$PORT_MAC") echo director ;;
    "$(server_mac "$server")") echo "$server" ;;
    *) echo "?" ;;
  esac
}

heading() {
  printf '%-5s %-38s %-28s %-28s %-21s %s\n' step where "source MAC" "destination MAC" "source" "destination"
}

# row STEP WHERE FRAME
row() {
  local source_mac destination_mac source destination
  if [[ -z $3 ]]; then
    printf '%-5s %-38s %s\n' "$1" "$2" "(nothing seen)"
    return
  fi
  read -r source_mac destination_mac source destination <<<"$3"
  printf '%-5s %-38s %-28s %-28s %-21s %s\n' "$1" "$2" "$source_mac $(name_of "$source_mac")" \
    "$destination_mac $(name_of "$destination_mac")" "$source" "$destination"
}

# --- check ------------------------------------------------------------------------------------------------------------

# same WHAT GOT WANT
same() {
  [[ $2 != "$3" ]] || return 0
  faults=$((faults + 1))
  echo "WRONG: $1: got \"$2\", want \"$3\"" >&2
}

check_frames() {
  local ask="$CLIENT:$SOURCE_PORT $VIP:80" answer="$VIP:80 $CLIENT:$SOURCE_PORT" mac
  mac=$(server_mac "$server")
  same "the client's frame" "$asked" "$CLIENT_MAC $PORT_MAC $ask"
  same "the frame into the director" "$received" "$CLIENT_MAC $PORT_MAC $ask"
  same "the frame out of the director" "$sent_on" "$PORT_MAC $mac $ask"
  same "the frame at the real server" "$served" "$PORT_MAC $mac $ask"
  same "the reply at the real server" "$replied" "$mac $CLIENT_MAC $answer"
  same "the reply at the client" "$answered" "$mac $CLIENT_MAC $answer"
}

check_connection() {
  local host
  same "replies that passed the director's port" "$(frames lan "src host $VIP" | wc -l)" 0
  for host in "${servers[@]}"; do
    [[ $host == "$server" ]] || same "frames of this connection at $host" "$(frames "$host" "" | wc -l)" 0
  done
  same "the IP packets from the client, byte for byte, at $server" \
    "$(packets "$server" "src host $CLIENT" | sha256sum)" "$(packets client "src host $CLIENT" | sha256sum)"
}

# ----------------------------------------------------------------------------------------------------------------------

capture_connection() {
  local host mine="tcp port $SOURCE_PORT"
  # At the hosts, what the bridge floods while it does not know a MAC address yet is left out.
  capture client eth0 "$mine and ether host $CLIENT_MAC"
  capture lan dp0 "$mine"
  for host in "${servers[@]}"; do capture "$host" eth0 "$mine and ether host $(server_mac "$host")"; done
  server=$(fetch_page) || fail "no page came through the VIP $VIP"
  wait_until 5 captures_agree || true
  stop_captures
}

read_captures() {
  local to_vip="dst host $VIP" from_vip="src host $VIP"
  asked=$(first client "$to_vip")
  received=$(first lan "$to_vip and ether dst $PORT_MAC")
  sent_on=$(first lan "$to_vip and ether src $PORT_MAC")
  served=$(first "$server" "$to_vip")
  replied=$(first "$server" "$from_vip")
  answered=$(first client "$from_vip")
}

print_table() {
  heading
  row 1 "client sends to the VIP" "$asked"
  row "" "director's port receives" "$received"
  row 2 "director's port sends on" "$sent_on"
  row 3 "$server receives, the VIP is on its lo" "$served"
  row 4 "$server answers the client itself" "$replied"
  row "" "client receives" "$answered"
}

main() {
  PORT_MAC=${1:?usage: four-steps.sh PORT-MAC, in a lab (lab.sh) where turnout runs}
  dir=$(mktemp -d)
  trap cleanup EXIT
  capture_connection
  read_captures
  print_table
  check_frames
  check_connection
  ((faults == 0)) || fail "this is not LVS-DR: $faults of the checks above failed"
  echo
  echo "Checked: only MAC addresses differ from step 1 to 3, the $(packets client "src host $CLIENT" | grep -c '0x0000:') IP packets arrive byte for byte, no reply passed the director's port."
}

main "$@"
