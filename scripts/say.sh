# Sourced by the scripts here: progress on stderr, a fatal error, and a bound on how long a command may take.
# shellcheck shell=sh

prog=${0##*/}
say() { printf '%s: %s\n' "$prog" "$*" >&2; }
die() { say "$*"; exit 1; }

# within SECONDS COMMAND…: 124 when it took longer. macOS has no timeout(1); there it is only run.
within() {
  seconds=$1
  shift
  if command -v timeout >/dev/null 2>&1; then timeout "$seconds" "$@"; else "$@"; fi
}

is_root() { [ "$(id -u)" = 0 ]; }

has_apt() { command -v apt-get >/dev/null 2>&1; }

# apt_install PACKAGE…: says what it does, and asks the mirrors for their lists only when it must.
# HERMES_NO_INSTALL, what --no-install sets, keeps this machine's packages as they are.
apt_install() {
  [ -z "${HERMES_NO_INSTALL:-}" ] || die "--no-install forbids it; by hand: sudo apt-get install $*"
  say "installing $* with apt-get"
  DEBIAN_FRONTEND=noninteractive
  export DEBIAN_FRONTEND
  apt-get install -y -q --no-install-recommends "$@" >&2 </dev/null && return
  say "asking the mirrors for newer lists first"
  apt-get update -q >&2 && apt-get install -y -q --no-install-recommends "$@" >&2 </dev/null
}

# use_own_builder CLIENT: the engine's, named like the context. Another builder would not see the local base, and
# would leave no image here.
use_own_builder() {
  BUILDX_BUILDER=$("$1" context inspect -f '{{.Name}}')
  DOCKER_BUILDKIT=1
  export BUILDX_BUILDER DOCKER_BUILDKIT
}
