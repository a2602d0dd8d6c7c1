"""Plans the slots to make at boot from what the volume says, and tidies what a dead container left."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hermes_cli.config.reading import inspect_config
from hermes_cli.gateway.records import IntentRecord, StateRecord
from hermes_cli.home import FALLBACK_SOCKETS, CorruptFileError, Home, load, profile_entries, root_home
from hermes_cli.processes.ending import process_names
from hermes_cli.service_manager.names import DEFAULT_PROFILE

VOLUME_HELD = Path("/run/hermes/volume-held")
"""Exists when another container has this volume; holds its name."""

_LOG_LIMIT = 256 * 1024
_LIVE_STATES = frozenset({"running", "draining", "degraded"})
"""Last states of a gateway that was up when its container ended."""

_TEMPORARY = re.compile(
    r"\.(?:config\.yaml|\.env|SOUL\.md|[a-z_]+\.json)\.[0-9a-f]{12}"
    r"|\.state\.db\.[0-9a-f]{12}(?:-journal|-wal|-shm)?"
)
"""What `home.write_atomic` leaves when it is killed between its two steps."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to become of one profile's slot, and why. `up` is None for what gets no slot at all."""

    name: str
    up: bool | None
    reason: str
    broken: bool = False
    """Whether the reason is one that somebody should mend."""

    @property
    def word(self) -> str:
        return "skipped" if self.up is None else ("up" if self.up else "down")


def main() -> int:
    """Print the plan, one line a profile, and log it. Whatever is broken, `default` is in it."""
    root = root_home()
    held = _read_first_line(VOLUME_HELD)
    for complaint in () if held else prepare(root):
        _complain(complaint)
    decisions = plan(root, held)
    sys.stdout.write("".join(f"{one.name} {one.word}\n" for one in decisions if one.up is not None))
    sys.stdout.flush()
    for one in decisions:
        if one.up is None:
            _complain(f"{_quoted(one)} in {root / 'profiles'} is {one.reason}; it is left alone")
        elif one.broken:
            _complain(f"the gateway of {one.name} stays down: {one.reason}")
    lost = [] if held else lost_processes(root, decisions)
    try:
        write_log(Home.of(DEFAULT_PROFILE, root).boot_log, decisions, lost)
    except OSError as error:
        _complain(f"this boot could not be logged: {error}")
    return 0


def prepare(root: Path) -> Iterator[str]:
    """Make what the root home lacks and settle interrupted commands. Yields what went wrong, in sentences."""
    home = Home.of(DEFAULT_PROFILE, root)
    if _needs_seeding(home):
        from hermes_cli.profiles.seed import seed_home

        try:
            seed_home(home)
        except OSError as error:
            yield f"the home {root} could not be prepared: {error}"
    if _hidden_entries(root):
        from hermes_cli.profiles import ProfileError, recover_half_done

        try:
            yield from recover_half_done(None, root)
        except (OSError, ProfileError) as error:
            yield f"a half-done change of profiles could not be settled: {error}"


def plan(root: Path, volume_held: str | None = None) -> list[Decision]:
    """A decision for everything in the volume, `default` first. One broken profile costs only itself.

    Also removes what the gateways of an earlier container left behind, unless `volume_held` says that
    another container lives on this volume: then everything stays down and untouched.
    """
    decisions = []
    for name, objection in [(DEFAULT_PROFILE, None), *_entries(root)]:
        if objection is not None:
            decisions.append(Decision(name, None, objection, broken=True))
            continue
        home = Home(name, root)
        if volume_held is not None:
            decisions.append(Decision(name, False, f"the volume is held by {volume_held}"))
            continue
        try:
            tidy(home)
            decisions.append(decide(home))
        except OSError as error:
            decisions.append(Decision(name, False, f"cannot be read: {error}", broken=True))
    return decisions


def decide(home: Home) -> Decision:
    """Whether the gateway of `home` is to be up, and why.

    Parked stays parked; then the operator's intent counts; without one, the last state. What cannot be
    read keeps it down.
    """
    if os.path.lexists(home.parked):
        return Decision(home.profile, False, "parked; 'hermes gateway start' ends that")
    try:
        intent = load(home.intent, IntentRecord)
        if intent is not None:
            up, reason = intent.intent == "running", f"intent is {intent.intent}"
        else:
            state = load(home.state, StateRecord)
            up = state is not None and state.state in _LIVE_STATES
            reason = f"no intent, last state was {state.state}" if state else "never started"
    except CorruptFileError as error:
        return Decision(home.profile, False, str(error), broken=True)
    errors = inspect_config(home).errors
    if errors:
        return Decision(home.profile, False, str(errors[0]), broken=True)
    return Decision(home.profile, up, reason)


def tidy(home: Home) -> None:
    """Remove pid file, sockets, locks and temporary files of processes that are gone. Raises OSError.

    A lock that somebody holds, and the sockets of its holder, stay.
    """
    if _remove_if_free(home.lock, fcntl.flock):
        for name in ("gateway.pid", "gateway.sock"):
            _remove(home.run_dir / name)
        if _any_fallback_sockets():
            _remove(home.fallback_socket)
    # s6-log takes a lock of fcntl(2); on some network file systems a dead container's never ends.
    _remove_if_free(home.gateway_log / "lock", fcntl.lockf)
    with os.scandir(home.path) as entries:
        leftovers = [entry.name for entry in entries if _TEMPORARY.fullmatch(entry.name)]
    for name in leftovers:
        _remove(home.path / name)


def lost_processes(root: Path, decisions: list[Decision]) -> list[str]:
    """Write down what the end of the last container took away: one line for each profile that lost some."""
    lines = []
    for one in decisions:
        directory = Home(one.name, root).processes
        if one.up is None or not process_names(directory):
            continue
        from hermes_cli.processes.census import take_census
        from hermes_cli.processes.records import read_status
        from hermes_cli.processes.registry import Registry

        try:
            unsettled = take_census(directory).unsettled
            Registry(directory).running_count()  # settles them
            ends = [(name, read_status(directory / name)) for name in unsettled]
        except OSError as error:
            _complain(f"the background processes of {one.name} cannot be read: {error}")
            continue
        lost = [(name, status.reason) for name, status in ends if status and status.state == "lost"]
        if lost:
            names = ", ".join(name for name, _ in lost)
            lines.append(f"{one.name} lost {len(lost)} background processes: {names} ({lost[0][1]})")
    return lines


def write_log(path: Path, decisions: list[Decision], lost: Sequence[str] = ()) -> None:
    """Append a line for each decision, then `lost`; the file becomes `.1` past 256 KiB. Raises OSError."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    text = "".join(f"{now} {_quoted(one)} {one.word}: {_on_one_line(one.reason)}\n" for one in decisions)
    text += "".join(f"{now} {line}\n" for line in lost)
    with contextlib.suppress(FileNotFoundError):
        if path.lstat().st_size > _LOG_LIMIT:
            path.replace(path.with_name(f"{path.name}.1"))
    # O_NONBLOCK: a FIFO in its place is refused, and does not hold up the boot.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)


def _entries(root: Path) -> Iterator[tuple[str, str | None]]:
    try:
        yield from profile_entries(root)
    except OSError as error:
        _complain(f"the profiles cannot be listed: {error}")


def _needs_seeding(home: Home) -> bool:
    wanted = (home.config, home.env, home.soul, home.run_dir, home.root / "profiles", home.gateway_log.parent)
    return not all(os.path.lexists(path) for path in wanted)


def _hidden_entries(root: Path) -> bool:
    try:
        return any(name.startswith(".") for name in os.listdir(root / "profiles"))  # noqa: PTH208
    except OSError:
        return False


def _any_fallback_sockets() -> bool:
    """Whether looking for one is worth hashing a path: importing hashlib is a tenth of this whole program."""
    try:
        with os.scandir(FALLBACK_SOCKETS) as entries:
            return any(entries)
    except OSError:
        return False


def _remove_if_free(path: Path, lock: Callable[[int, int], None]) -> bool:
    """Remove a lock file if nobody holds it; whether nobody does. Where there are no locks, nobody does."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return True
    try:
        with contextlib.suppress(OSError):
            try:
                lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                return False
        _remove(path)
        return True
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()


def _read_first_line(path: Path) -> str | None:
    try:
        lines = path.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"somebody ({error.strerror})"
    return lines[0] if lines and lines[0].strip() else "another container"


def _quoted(decision: Decision) -> str:
    """The name; quoted where it is not known to be one, so that no file name can pass for another line."""
    return decision.name if decision.up is not None else ascii(decision.name)


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


def _complain(sentence: str) -> None:
    print(f"hermes: warning: {_on_one_line(sentence)}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
