#!/bin/sh
# Decide what the container's words mean, and run that as the service user.
set -eu

here=/opt/hermes/docker
word=${1:?}

# For stop-command: whom to ask, and whether it sits at a terminal. Everything below replaces this process.
if [ -t 0 ]; then terminal=terminal; else terminal=; fi
echo "$$ $terminal" >/run/hermes/command

is_hermes_command() {
  while read -r command; do
    [ "$command" != "$1" ] || return 0
  done </opt/hermes/share/commands
  return 1
}

case $word in
  -*) exec "$here/hermes" "$@" ;;
esac
if is_hermes_command "$word"; then
  exec "$here/hermes" "$@"
fi
if ! command -v -- "$word" >/dev/null; then
  echo "hermes: $word is neither a hermes command nor a program here; 'hermes --help' lists the commands" >&2
  exit 127
fi
exec "$here/as-hermes" "$@"
