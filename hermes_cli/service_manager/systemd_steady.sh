#!/bin/sh
# A run that lasted longer than the window was no part of a crash loop: forget the restarts before it, which systemd never
# does by itself, so that the next one comes at once. Runs as ExecStopPost=.
# usage: sh systemd_steady.sh LEVEL UNIT WINDOW [PERMANENT EXIT CODE]…    WINDOW is in seconds
set -eu
level=$1 unit=$2 window=$3
shift 3
# What is about to be parked must stay failed.
for code; do [ "${EXIT_STATUS:-}" != "$code" ] || exit 0; done
began=$(systemctl "--$level" show --value -p ExecMainStartTimestampMonotonic "$unit")
read -r up _ </proc/uptime
[ "$((${up%.*} - began / 1000000))" -lt "$window" ] || systemctl "--$level" reset-failed "$unit"
