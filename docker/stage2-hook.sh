#!/bin/sh
# Before anything runs: who the service user is, the runtime directory, and a home that belongs to that user.
# Safe to run twice. Below the home, root only looks; what must change there is changed without following links.
set -eu

here=/opt/hermes/docker
home=${HERMES_HOME:-/opt/data}
run=/run/hermes

fatal() {
  echo "hermes: $*" >&2
  exit 1
}

an_id() { # NAME VALUE: 1 to 65534, in decimal
  case $2 in
    '' | *[!0-9]* | 0*) fatal "$1=$2 is not an id: use a number from 1 to 65534" ;;
  esac
  if [ "${#2}" -gt 5 ] || [ "$2" -gt 65534 ]; then fatal "$1=$2 is out of range: use a number from 1 to 65534"; fi
}

make_runtime_directory() {
  # What a container left in /run when it stopped is of no use to the next one.
  rm -rf "$run" 2>/dev/null || find "$run" -mindepth 1 -delete
  mkdir -p "$run/bin" "$run/env" "$run/locks" "$run/sockets"
  chmod 0755 "$run" "$run/bin"
  chmod 0700 "$run/env" "$run/locks" "$run/sockets"
}

# The name `hermes` follows the ids, where /etc can be written. Nothing depends on it.
rename_user() {
  [ -w /etc/passwd ] && [ -w /etc/group ] || return 0
  sed -i "s/^hermes:x:[0-9]*:[0-9]*:/hermes:x:$uid:$gid:/" /etc/passwd
  sed -i "s/^hermes:x:[0-9]*:/hermes:x:$gid:/" /etc/group
}

if [ "$(id -u)" -ne 0 ]; then
  make_runtime_directory
  [ -d "$home" ] || mkdir -p "$home"
  exit 0
fi

# PUID and PGID are what other images call them.
uid=${HERMES_UID:-${PUID:-10000}}
gid=${HERMES_GID:-${PGID:-10000}}
an_id HERMES_UID "$uid"
an_id HERMES_GID "$gid"

make_runtime_directory
echo "$uid $gid" >"$run/ids"
chown "$uid:$gid" "$run/env" "$run/locks" "$run/sockets"
[ "$uid:$gid" = 10000:10000 ] || rename_user

while read -r _ place _ options _; do
  case $place:$options in
    "$home:ro" | "$home:ro,"*) fatal "$home is mounted read-only: Hermes keeps everything there, so mount it writable" ;;
  esac
done </proc/self/mounts

# One look: the home and what lies at its top. A walk only where something there belongs to somebody else.
[ -d "$home" ] || mkdir -p "$home"
owners=$(stat -c %u:%g -- "$home" "$home"/* "$home"/.env "$home"/profiles/* 2>/dev/null | sort -u) || :
if [ "$owners" != "$uid:$gid" ] || [ "${HERMES_FIX_OWNERSHIP:-}" = 1 ]; then
  /opt/hermes/venv/bin/python -I "$here/mend-ownership" "$home" "$uid" "$gid" || {
    [ $? -ne 75 ] || exit 1 # it has said that another container needs the home as it is
    fatal "$home could not be made to belong to $uid:$gid: give it to that user, or set HERMES_UID and HERMES_GID to its owner"
  }
fi
