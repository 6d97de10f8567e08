#!/usr/bin/env bash
# Sets up a Linux real server for LVS-DR: it holds the VIP on lo and keeps silent about it in ARP. It needs iproute2 and no
# DPDK; "turnout realserver" is this script.
#
# Order matters: the ARP settings come before the VIP, else the real server answers for the VIP in between and takes the
# clients of the whole segment with it. Taking it away goes the other way round.
set -euo pipefail

conf=/proc/sys/net/ipv4/conf
# Tests put another folder in its place.
unit=${UNIT_DIR:-/etc/systemd/system}/turnout-realserver.service
verb=print
boot=no
vips=()
befores=()
dev=
state=
mistakes=0

usage() {
  cat <<END
usage: realserver --vip ADDRESS [--vip ADDRESS...] --dev NIC [--apply|--verify|--undo|--status] [--boot]

Without a verb it prints the commands, in the order that matters: to read, or to pipe to "ssh root@REAL-SERVER sh".
  --apply        do them, until the next boot
  --verify       name everything that is wrong, each with the command that mends it; exit with 1 if there is anything
  --undo         undo what --apply changed, all of it without --vip
  --status       show the settings and addresses

  --vip ADDRESS  an IPv4 address that clients use; IPv6 is not available in this version
  --dev NIC      the interface that the director's frames come in on
  --boot         with --apply and the printed commands: at every boot as well, by a systemd unit
  --before UNIT  a systemd unit that wants the VIP, such as nginx.service: with --boot it is started later
  --state FILE   where --apply remembers what it changed; default: a file in /run/turnout-realserver for each network namespace
END
}

fail() {
  echo "realserver: $*" >&2
  exit 1
}

misuse() {
  echo "realserver: $*" >&2
  usage >&2
  exit 2
}

# --- settings ---------------------------------------------------------------------------------------------------------

# The kernel takes the greater of conf/all and conf/NIC; both are set so that neither hides the other.
settings() {
  printf '%s\n' all/arp_ignore=1 all/arp_announce=2 "$dev/arp_ignore=1" "$dev/arp_announce=2"
}

suppress_arp() {
  local setting
  for setting in $(settings); do change_setting "${setting%=*}" "${setting#*=}"; done
}

# change_setting all/arp_ignore 1: remembers the value before, once
change_setting() {
  local name=$1 want=$2 old
  old=$(<"$conf/$name")
  [[ $old != "$want" ]] || return 0
  grep -qs "^setting $name " "$state" || echo "setting $name $old $want" >>"$state"
  echo "$want" >"$conf/$name"
  echo "net/ipv4/conf/$name: $old -> $want"
}

# A setting that somebody else has changed since is theirs.
restore_setting() {
  local name=$1 old=$2 set=$3
  [[ -e $conf/$name ]] || return 0
  if [[ $(<"$conf/$name") != "$set" ]]; then
    echo "net/ipv4/conf/$name: changed since by somebody else, left alone"
    return
  fi
  echo "$old" >"$conf/$name"
  echo "net/ipv4/conf/$name: $set -> $old"
}

# --- addresses --------------------------------------------------------------------------------------------------------

# holders 192.168.57.100: a line "INTERFACE LENGTH" for each place where the address is
holders() {
  ip -o -4 address show | awk -v vip="$1" '{ split($4, a, "/"); if (a[1] == vip) print $2, a[2] }'
}

check_vip() {
  local vip=$1 interface length
  while read -r interface length; do
    [[ $interface == lo && $length == 32 ]] ||
      fail "$vip is on $interface with /$length; remove it: ip address del $vip/$length dev $interface"
  done < <(holders "$vip")
}

add_vip() {
  local vip=$1
  if [[ -n $(holders "$vip") ]]; then
    echo "$vip: is on lo already"
    return
  fi
  echo "vip $vip" >>"$state"
  ip address add "$vip/32" dev lo
  echo "$vip/32: added to lo"
}

remove_vip() {
  local vip=$1
  if [[ -n $(holders "$vip") ]]; then
    ip address del "$vip/32" dev lo
    echo "$vip/32: removed from lo"
  fi
  forget "vip $vip"
}

forget() {
  grep -vxF "$1" "$state" >"$state.new" || true
  mv "$state.new" "$state"
}

# --- every boot -------------------------------------------------------------------------------------------------------

# commands: what is to be done, in this order; the unit does the same
commands() {
  echo "sysctl -w $(settings | sed 's,^,net/ipv4/conf/,' | xargs)"
  printf 'ip address replace %s/32 dev lo\n' "${vips[@]}"
}

unit_text() {
  local device
  device=sys-subsystem-net-devices-$(systemd_name "$dev").device
  cat <<END
[Unit]
Description=LVS-DR real server: ${vips[*]} on lo, silent in ARP on $dev
BindsTo=$device
After=$device systemd-sysctl.service
Before=network-online.target${befores[*]:+ ${befores[*]}}

[Service]
Type=oneshot
RemainAfterExit=yes
$(commands | sed 's/^/ExecStart=/')
$(printf 'ExecStop=-ip address del %s/32 dev lo\n' "${vips[@]}")

[Install]
WantedBy=multi-user.target
END
}

# systemd writes a dash in a device's name as \x2d.
systemd_name() { echo "${1//-/\\x2d}"; }

write_unit() {
  unit_text >"$unit"
  systemctl daemon-reload
  systemctl enable --quiet "$(basename "$unit")"
  echo "$unit: written and enabled"
}

# Started at boot, it takes its VIPs away as it stops; the ARP settings stay.
remove_unit() {
  [[ -e $unit ]] || return 0
  systemctl disable --quiet --now "$(basename "$unit")"
  rm "$unit"
  systemctl daemon-reload
  echo "$unit: stopped, disabled and removed"
}

# --- verbs ------------------------------------------------------------------------------------------------------------

print() {
  need_vips
  need_dev_name
  echo "# On the real server, as root, in this order: the VIP comes last, and only if all went well before."
  echo "set -e"
  commands
  if [[ $boot == no ]]; then
    echo "# This lasts until the next boot; with --boot there is a systemd unit as well."
    return
  fi
  echo "cat >$unit <<'END'"
  unit_text
  echo END
  echo systemctl daemon-reload
  echo "systemctl enable $(basename "$unit")"
}

apply() {
  need_root
  need_vips
  need_dev
  [[ $boot == no ]] || command -v systemctl >/dev/null || fail "--boot needs systemd, which is not here: have your init run what this prints without a verb"
  local vip
  for vip in "${vips[@]}"; do check_vip "$vip"; done
  mkdir -p "$(dirname "$state")"
  suppress_arp
  for vip in "${vips[@]}"; do add_vip "$vip"; done
  [[ $boot == no ]] || write_unit
}

undo() {
  need_root
  ((${#vips[@]} > 0)) || remove_unit
  if [[ ! -e $state ]]; then
    echo "nothing to undo: --apply has changed nothing since the boot"
    return
  fi
  local vip
  for vip in $(remembered_vips); do
    if ((${#vips[@]} == 0)) || [[ " ${vips[*]} " == *" $vip "* ]]; then remove_vip "$vip"; fi
  done
  [[ -z $(remembered_vips) ]] || return 0
  local name old set
  while read -r _ name old set; do restore_setting "$name" "$old" "$set"; done < <(grep '^setting ' "$state")
  rm -f "$state"
}

remembered_vips() { awk '$1 == "vip" { print $2 }' "$state"; }

status() {
  need_dev
  local name
  for name in {all,"$dev"}/{arp_ignore,arp_announce,rp_filter}; do echo "net/ipv4/conf/$name = $(<"$conf/$name")"; done
  ip -o -4 address show | awk '{ print $2 ": " $4 }'
  if [[ -e $state ]]; then sed 's/^/changed by --apply: /' "$state"; fi
}

verify() {
  need_vips
  need_dev
  verify_nic
  verify_setting arp_ignore 1 "the real server answers ARP for the VIP on its NIC"
  verify_setting arp_announce 2 "the real server gives the VIP away in its own ARP requests"
  verify_rp_filter
  local vip
  for vip in "${vips[@]}"; do verify_vip "$vip"; done
  ((mistakes == 0)) || fail "this real server is not set up as it should be, number of mistakes: $mistakes"
  echo "$dev, ${vips[*]}: all is well"
}

# mistake WHAT COMMAND
mistake() {
  mistakes=$((mistakes + 1))
  echo "mistake: $1"
  echo "  mend:  $2"
}

verify_nic() {
  [[ -n $(ip link show dev "$dev" up) ]] || mistake "$dev is down" "ip link set $dev up"
  [[ -n $(ip -o -4 address show dev "$dev") ]] || mistake "$dev has no IPv4 address (the RIP)" "ip address add RIP/LENGTH dev $dev"
}

# effective arp_ignore: what the kernel goes by on the NIC
effective() {
  local all nic
  all=$(<"$conf/all/$1")
  nic=$(<"$conf/$dev/$1")
  echo $((all > nic ? all : nic))
}

verify_setting() {
  local name=$1 want=$2 harm=$3 is
  is=$(effective "$name")
  [[ $is == "$want" ]] || mistake "$name is $is where it should be $want: $harm" \
    "sysctl -w net/ipv4/conf/all/$name=$want net/ipv4/conf/$dev/$name=$want"
}

# Strict reverse-path filtering (1) drops what comes from a client whose reply would leave by another NIC.
verify_rp_filter() {
  [[ $(effective rp_filter) == 1 ]] || return 0
  local out
  out=$(ip -4 route show default | sed -nE '1s/.* dev (\S+).*/\1/p')
  if [[ -n $out && $out != "$dev" ]]; then
    mistake "rp_filter is 1 (strict) and replies leave by $out: what comes in on $dev from beyond its subnet is dropped" \
      "sysctl -w net/ipv4/conf/$dev/rp_filter=2"
  fi
}

verify_vip() {
  local vip=$1 interface length on_lo=no
  while read -r interface length; do
    if [[ $interface == lo && $length == 32 ]]; then on_lo=yes; else wrong_holder "$vip" "$interface" "$length"; fi
  done < <(holders "$vip")
  [[ $on_lo == yes ]] || mistake "$vip/32 is not on lo: the real server drops what is sent to it" "ip address add $vip/32 dev lo"
}

wrong_holder() {
  local vip=$1 interface=$2 length=$3 harm="the real server answers ARP for it"
  [[ $interface != lo ]] || harm="lo takes the whole subnet, and replies to clients in it go nowhere"
  mistake "$vip is on $interface with /$length: $harm" "ip address del $vip/$length dev $interface"
}

# --- arguments --------------------------------------------------------------------------------------------------------

need_root() { ((EUID == 0)) || fail "changing addresses and settings needs root"; }
need_vips() { ((${#vips[@]} > 0)) || misuse "--vip is missing"; }

need_dev_name() { [[ -n $dev ]] || misuse "--dev is missing"; }

need_dev() {
  need_dev_name
  [[ -d $conf/$dev && $dev != all && $dev != default ]] || fail "there is no interface $dev here; \"ip -brief link\" lists them"
  [[ $dev != lo ]] || fail "--dev is the NIC that the director's frames come in on, not lo"
}

add_vip_argument() {
  local vip=$1 octet
  [[ $vip != *:* ]] || fail "$vip: an IPv6 VIP is not available in this version"
  [[ $vip =~ ^([0-9]{1,3}\.){3}[0-9]{1,3}$ ]] || fail "$vip is not an IPv4 address (without a length: on lo it is always /32)"
  for octet in ${vip//./ }; do ((10#$octet <= 255)) || fail "$vip is not an IPv4 address"; done
  vips+=("$vip")
}

set_verb() {
  [[ $verb == print ]] || misuse "--$verb and --$1 do not go together"
  verb=$1
}

# value OPTION VALUE
value() { [[ -n ${2:-} ]] || misuse "$1 needs a value"; }

parse_options() {
  while (($# > 0)); do
    case $1 in
      --apply | --verify | --undo | --status) set_verb "${1#--}" ;;
      --boot) boot=yes ;;
      --vip | --dev | --before | --state)
        value "$@"
        set_option "$1" "$2"
        shift
        ;;
      -h | --help) usage && exit ;;
      *) misuse "unknown option $1" ;;
    esac
    shift
  done
  state=${state:-/run/turnout-realserver/net-$(stat -L -c %i /proc/self/ns/net)}
}

set_option() {
  case $1 in
    --vip) add_vip_argument "$2" ;;
    --dev) dev=$2 ;;
    --before) befores+=("$2") ;;
    --state) state=$2 ;;
  esac
}

parse_options "$@"
"$verb"
