# shellcheck shell=sh
# Making and removing slots, the only code that does. Sourced by slotctl and by the boot, which set $here.
LC_ALL=C
scandir=${HERMES_SCANDIR:-/run/service}
template=${HERMES_SLOT_TEMPLATE:-/opt/hermes/docker/slot}
aliases=${HERMES_ALIAS_DIR-/run/hermes/bin}
answer_within=10000 # ms for s6-supervise to answer

valid_profile() {
  case $1 in
    '' | [!a-z0-9]* | *[!a-z0-9_-]*) return 1 ;;
  esac
  [ "${#1}" -le 243 ]
}

# One at a time: two callers must not rescan, rename and wait across each other.
lock_scandir() {
  # Whoever can open it can hold it.
  : >>"$scandir/.hermes.lock" && chmod 0600 "$scandir/.hermes.lock" && exec 9>"$scandir/.hermes.lock" || return
  flock -w 30 9
}

# Make the slots of the profiles named, with a `down` file where the word after the profile is `down`.
# Built under a dot-name that s6-svscan does not look at, published by rename, one rescan for all.
# Arguments: PROFILE up|down …
make_slots() {
  staging=$scandir/.staging
  rm -rf "$staging"
  mkdir -m 0755 "$staging" || return
  wanted='' staged='' slots='' downs=''
  while [ $# -gt 0 ]; do
    profile=$1 order=$2
    shift 2
    [ ! -e "$scandir/gateway-$profile" ] || continue
    wanted="$wanted $profile"
    staged="$staged $staging/gateway-$profile"
    # A logger without a gateway has nothing to do: the slot's `run` starts it. Half the work of a boot is loggers.
    [ "$order" = up ] || downs="$downs $staging/gateway-$profile/down $staging/gateway-$profile/log/down"
    slots="$slots $scandir/gateway-$profile $scandir/gateway-$profile/log"
  done
  if [ -n "$wanted" ]; then
    # shellcheck disable=SC2086 # names hold no blanks: valid_profile
    copy_template $staged && mark_down $downs && publish $wanted && allow_control && name_aliases $wanted
  fi
  status=$?
  rm -rf "$staging"
  return "$status"
}

# The template's files in every directory named. One process a file, not one a slot: there may be hundreds.
copy_template() {
  logs=''
  for slot; do logs="$logs $slot/log"; done
  # shellcheck disable=SC2086
  mkdir -m 0755 "$@" $logs || return
  for file in type run finish notification-fd timeout-kill log/run; do
    [ -e "$template/$file" ] || continue
    copies=''
    for slot; do copies="$copies $slot/$file"; done
    # shellcheck disable=SC2086
    tee $copies <"$template/$file" >/dev/null || return
    # shellcheck disable=SC2086
    [ ! -x "$template/$file" ] || chmod 0755 $copies || return
  done
}

mark_down() {
  for marker; do : >"$marker"; done
}

publish() {
  events='' waits=''
  for profile; do
    events="$events $staging/gateway-$profile/event $staging/gateway-$profile/log/event"
    waits="$waits $scandir/gateway-$profile/event s $scandir/gateway-$profile/log/event s"
  done
  # The event directories exist before s6-supervise does, so that its first word cannot be missed.
  # shellcheck disable=SC2086
  mkdir -m 3730 $events && mv -t "$scandir" "$staging"/gateway-* || return
  # shellcheck disable=SC2086
  s6-ftrig-listen -a -t "$answer_within" $waits '' s6-svscanctl -a "$scandir"
}

# The service user's group may read the status and give orders. It may not subscribe to events: whoever can
# write the event directory plants a link there, and s6-supervise writes through it as root.
allow_control() {
  [ "$(id -u)" -eq 0 ] || return 0
  gid=10000
  [ ! -e /run/hermes/ids ] || read -r _ gid </run/hermes/ids || return
  # shellcheck disable=SC2086
  s6-svperms -g ":$gid" -G ":$gid" $slots
}

# A profile's name is a command, unless another command has that name. PATH has the aliases last.
name_aliases() {
  [ -n "$aliases" ] || return 0
  names=''
  for profile; do
    if [ "$profile" = default ] || command -v "$profile" >/dev/null; then continue; fi
    names="$names $aliases/$profile"
  done
  [ -n "$names" ] || return 0
  # shellcheck disable=SC2086,SC2154
  tee $names <"$here/alias" >/dev/null && chmod 0755 $names
}

# Stop the gateway, make s6 forget the slot, remove it. The rename comes first: s6-svscan then lets go of it.
remove_slot() {
  slot=$scandir/gateway-$1
  gone=$scandir/.gone/gateway-$1 # a directory of its own: the name may be as long as a file name
  [ -z "$aliases" ] || rm -f "${aliases:?}/$1"
  if [ -d "$slot" ]; then
    rm -rf "$gone"
    mkdir -p "$scandir/.gone"
    waits=''
    for part in '' /log; do
      # What nothing supervises has nobody who lets go of it; a directory that is not ours may have no logger.
      ! s6-svok "$slot$part" 2>/dev/null || waits="$waits $gone$part/event x"
    done
    mv -T "$slot" "$gone" || return
    if [ -n "$waits" ]; then
      # shellcheck disable=SC2086
      s6-ftrig-listen -a -t "$answer_within" $waits '' s6-svscanctl -an "$scandir"
    else
      s6-svscanctl -an "$scandir"
    fi
    status=$?
  fi
  [ ! -d "$gone" ] || rm -rf "$gone"
  return "${status:-0}"
}
