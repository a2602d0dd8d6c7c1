"""Checks of what lies in the volume: owners, modes, leftovers, small files that cannot be read."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from hermes_cli.gateway.lock import holder_of
from hermes_cli.gateway.records import IntentRecord, ParkedRecord, StateRecord
from hermes_cli.home import CorruptFileError, load, profile_entries

from .model import Check, Result, Scene, problem

OWNED = (
    "config.yaml", ".env", "SOUL.md", "gateway_intent.json", "gateway_state.json", "parked.json",
    "state.db", "state.db-wal", "state.db-shm", "runs_settled.json", "sessions", "processes", "run", "logs",
    "profiles", "dashboard",
)  # fmt: skip
"""What Hermes makes in a home. Anything else there is the operator's business."""
MOST_ENTRIES = 20_000
"""Directory entries that are looked at: a second or two on a slow disk."""
_TEMPORARY = re.compile(
    r"\.(config\.yaml|\.env|gateway_intent\.json|gateway_state\.json|parked\.json|runs_settled\.json)\.[0-9a-f]{12}"
    r"|\.state\.db\.[0-9a-f]{12}(-journal|-wal|-shm)?"
)
"""What an atomic write (`home.write_atomic`) and the making of a store leave behind when the power goes."""
_STALE_AFTER = 600.0
"""Seconds after which nobody is still writing a temporary file."""


def root_usable(scene: Scene) -> Iterator[Result]:
    if not scene.root.is_dir():
        yield problem(
            "volume",
            f"the home {scene.root} is not there",
            "'hermes config path' or any command that writes makes it; HERMES_HOME names another",
            status="warning",
        )
    elif not os.access(scene.root, os.W_OK | os.X_OK):
        read_only = os.statvfs(scene.root).f_flag & os.ST_RDONLY
        cause = (
            "its file system is mounted read-only" if read_only else f"it does not belong to uid {scene.uid}"
        )
        remedy = "mount the volume writable" if read_only else _owner_remedy()
        yield problem("volume", f"the home {scene.root} cannot be written: {cause}", remedy)


def ownership(scene: Scene) -> Iterator[Result]:
    """Everything below what Hermes owns belongs to the user it runs as. A walk that follows no link."""
    foreign: list[str] = []
    for number, (path, found) in enumerate(_walk(scene.root)):
        if number >= MOST_ENTRIES:
            yield problem(
                "ownership walk",
                f"there are more than {MOST_ENTRIES} files below {scene.root}; the rest was not looked at",
                "HERMES_FIX_OWNERSHIP=1 at the next start of the container looks at all of them",
                status="warning",
            )
            break
        if found.st_uid != scene.uid:
            foreign.append(f"{path} (uid {found.st_uid})")
    if foreign:
        more = f" and {len(foreign) - 3} more" if len(foreign) > 3 else ""
        yield problem(
            "ownership",
            f"not owned by uid {scene.uid}: {', '.join(foreign[:3])}{more}",
            _owner_remedy(),
        )


def modes(scene: Scene) -> Iterator[Result]:
    """Secrets are for their owner alone, and nobody else writes a home."""
    for home in scene.homes:
        for path, forbidden in (
            (home.env, 0o077),
            (home.config, 0o022),
            (home.path, 0o022),
            (home.run_dir, 0o022),
        ):
            try:
                found = path.stat()
            except OSError:
                continue
            mode = stat.S_IMODE(found.st_mode)
            if not mode & forbidden:
                continue
            # What a link leads to is somebody else's file, and its mode their decision.
            ours = found.st_uid == scene.uid and not path.is_symlink()
            secret = " and holds secrets" if path == home.env else ""
            yield problem(
                f"modes {path}",
                f"{path} has mode {mode:04o}{secret}: others could read or write it",
                f"chmod {mode & ~forbidden:o} {path}",
                status="error" if path == home.env else "warning",
                mend=_set_mode(path, mode & ~forbidden) if ours else None,
            )


def small_files(scene: Scene) -> Iterator[Result]:
    for home in scene.homes:
        for path, kind in (
            (home.intent, IntentRecord), (home.state, StateRecord), (home.parked, ParkedRecord),
        ):  # fmt: skip
            try:
                load(path, kind)
            except CorruptFileError as error:
                yield problem(
                    f"small-files {path}",
                    str(error),
                    f"mv {path} {path}.corrupt",
                    mend=_set_aside(path),
                )


def leftovers(scene: Scene) -> Iterator[Result]:
    """Sockets nobody listens on, and temporary files of writes that never ended."""
    now = time.time()
    for home in scene.homes:
        if home.socket.is_socket() and holder_of(home) is None and not _answers(home.socket):
            yield problem(
                f"leftovers {home.socket}",
                f"the socket {home.socket} belongs to no running gateway",
                f"rm {home.socket}",
                status="warning",
                mend=_remove(home.socket),
            )
        for path in _entries(home.path):
            if _TEMPORARY.fullmatch(path.name) and now - path.lstat().st_mtime > _STALE_AFTER:
                yield problem(
                    f"leftovers {path}",
                    f"{path} is what an interrupted write left behind",
                    f"rm {path}",
                    status="warning",
                    mend=_remove(path),
                )


def logs(scene: Scene) -> Iterator[Result]:
    """Where the gateways' logs go can be written."""
    for home in scene.homes:
        for directory in (home.logs, home.logs / "gateways", home.gateway_log):
            if not os.path.lexists(directory):
                continue  # made by whoever writes the first line
            if not directory.is_dir() or not os.access(directory, os.W_OK | os.X_OK):
                yield problem(
                    f"logs {directory}",
                    f"{directory} is no directory this user may write: what belongs there is not kept",
                    _owner_remedy(),
                )
                break


def strangers(scene: Scene) -> Iterator[Result]:
    """What lies among the profiles and is none."""
    for name, objection in profile_entries(scene.root):
        if objection is not None:
            yield problem(
                f"strangers {name}",
                f"{scene.root / 'profiles' / name} is left alone: it is {objection}",
                "mend it, or move it out of profiles/",
                status="warning",
            )


def half_done_changes(scene: Scene) -> Iterator[Result]:
    """Creations, deletions and renamings that something interrupted."""
    from hermes_cli.profiles import recover_half_done
    from hermes_cli.profiles.half_done import half_done

    for profile, _ in half_done(scene.root):
        yield problem(
            f"half-done {profile}",
            f"a change of the profile {profile} was interrupted halfway, or is under way",
            "the next 'hermes profile' command finishes or undoes it",
            status="warning",
            mend=lambda: recover_half_done(scene.manager, scene.root),
        )


def _owner_remedy() -> str:
    if Path("/opt/hermes/share/flavour").exists():
        return "restart the container with HERMES_FIX_OWNERSHIP=1 set, and it is mended at the start"
    return "chown -R it to the user that runs Hermes"


def _walk(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    for name in OWNED:
        path = root / name
        try:
            found = path.lstat()
        except OSError:
            continue
        yield str(path), found
        if not stat.S_ISDIR(found.st_mode):
            continue
        for directory, directories, names, descriptor in os.fwalk(path, follow_symlinks=False):
            for entry in directories + names:
                with contextlib.suppress(OSError):
                    yield f"{directory}/{entry}", os.stat(entry, dir_fd=descriptor, follow_symlinks=False)


def _entries(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except OSError:
        return []


def _answers(socket_path: Path) -> bool:
    import socket

    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(socket_path))
        except ConnectionRefusedError:
            return False
        except OSError:
            return True  # not sure: then it is not ours to remove
    return True


def _set_mode(path: Path, mode: int) -> Callable[[], object]:
    def mend() -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            os.fchmod(descriptor, mode)
        finally:
            os.close(descriptor)

    return mend


def _set_aside(path: Path) -> Callable[[], object]:
    return lambda: path.replace(path.with_name(path.name + ".corrupt"))


def _remove(path: Path) -> Callable[[], object]:
    return lambda: path.unlink(missing_ok=True)


CHECKS = (
    Check("volume", "the home can be written", root_usable),
    Check("ownership", "everything in the home belongs to this user", ownership),
    Check("modes", "secrets are readable by their owner alone", modes),
    Check("small-files", "intents, states and parking slips can be read", small_files),
    Check("leftovers", "no stale sockets or temporary files", leftovers),
    Check("logs", "logs can be written", logs),
    Check("half-done", "no change of a profile is left half done", half_done_changes),
    Check("strangers", "only profiles lie among the profiles", strangers),
)
