#!/bin/sh
# Note that a service is parked, for the time after a reboot: systemd forgets then that it failed. Runs as OnFailure=.
# usage: sh systemd_park.sh LEVEL UNIT MARKER START-LIMIT [PERMANENT EXIT CODE]…
set -eu
level=$1 unit=$2 marker=$3 limit=$4
shift 4
show() { systemctl "--$level" show --value -p "$1" "$unit"; }
# systemd before 251 does not say what it is called for.
result=${MONITOR_SERVICE_RESULT:-$(show Result)}
status=${MONITOR_EXIT_STATUS:-$(show ExecMainStatus)}
reason=
# At its start limit, a service keeps the result of its last run if that was a failure.
[ "$result" != start-limit-hit ] && [ "$(show NRestarts)" -lt "$limit" ] || reason=crash-loop
for code; do [ "$result $status" != "exit-code $code" ] || reason=exit-code; done
# Everything else is a stop that went wrong: nobody has given the service up.
[ -n "$reason" ] || exit 0
mkdir -p "${marker%/*}"
printf '%s %s\n' "$reason" "$status" >"$marker.new"
mv -f "$marker.new" "$marker"
