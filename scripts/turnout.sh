#!/bin/sh
# bin/turnout: starts the program beside it, dpdk/turnout. Where DPDK's libraries are missing, the dynamic loader would end
# that before it can say what to do, so it is asked first which ones it does not find.
program=$(dirname "$(readlink -f "$0")")/dpdk/turnout
missing=$(LD_TRACE_LOADED_OBJECTS=1 "$program" | sed -n 's/^[[:space:]]*\(.*\) => not found$/\1/p')
if [ -n "$missing" ] && [ "${1:-}" = realserver ]; then
	shift
	exec "$(dirname "$program")/realserver.sh" "$@" # a real server needs no DPDK
elif [ -n "$missing" ]; then
	echo "turnout: DPDK is missing ($(echo "$missing" | head -n 1) and $(($(echo "$missing" | wc -l) - 1)) more libraries are not found): install it, on Debian 12 with: apt-get install dpdk libdpdk-dev" >&2
	exit 1
fi
exec "$program" "$@"
