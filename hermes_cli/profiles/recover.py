"""What an interrupted command left behind is finished, or undone, by the next one."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

from hermes_cli.home import CorruptFileError, Home, HomeError, load, root_home
from hermes_cli.processes.ending import end_processes
from hermes_cli.service_manager.errors import GatewayNotRegisteredError, ServiceError
from hermes_cli.service_manager.names import service_name
from hermes_cli.service_manager.types import ServiceManager

from .half_done import DELETED, NEW, RENAMING, half_done, hidden, is_name
from .lock import claimed, profiles_lock


def recover_half_done(manager: ServiceManager | None = None, root: Path | None = None) -> list[str]:
    """Finish or undo what was half done; one sentence for each thing that was, or could not be.

    Without a manager slots are left alone: at boot they are made afresh afterwards. Raises OSError where
    not even the lock can be taken, and `ProfileError` where another command holds it too long.
    """
    root = root if root is not None else root_home()
    if not half_done(root):
        return []
    with profiles_lock(root):
        return recover_locked(manager, root)


def recover_locked(manager: ServiceManager | None, root: Path) -> list[str]:
    """As `recover_half_done`, for a caller that holds the profiles' lock."""
    said = []
    for profile, suffix in half_done(root):
        try:
            sentence = _HANDLERS[suffix](profile, manager, root)
        except (OSError, ServiceError, HomeError) as error:
            path = hidden(root, profile, suffix)
            sentence = f"what is left of profile {profile!r} at {path} could not be cleared away: {error}"
        if sentence:
            said.append(sentence)
    return said


def remove_tree(path: Path) -> None:
    """Remove a directory and everything in it without following links; missing is fine. Raises OSError.

    A directory without write permission (a Go module cache is full of them) is no obstacle to its owner.
    """
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        pass
    except PermissionError:
        _make_writable(path)
        shutil.rmtree(path)


def end_and_remove(path: Path) -> None:
    """Remove a deleted home, with processes that were started in it to the last. Raises OSError."""
    from hermes_cli.processes.errors import ProcessError

    with contextlib.suppress(OSError, ProcessError):
        end_processes(path / "processes", grace=0.0)
    remove_tree(path)


def register(manager: ServiceManager | None, profile: str) -> None:
    """Register the gateway, down, where that can be done at runtime."""
    if manager is not None and manager.supports_runtime_registration():
        manager.register_profile_gateway(profile)


def unregister(manager: ServiceManager | None, profile: str) -> None:
    """Remove the gateway's registration or installation, if it has one."""
    if manager is None:
        return
    with contextlib.suppress(GatewayNotRegisteredError):
        if manager.supports_runtime_registration():
            manager.unregister_profile_gateway(profile)
        else:
            manager.uninstall(service_name(profile))


def move_registration(manager: ServiceManager | None, old: Home, new: Home) -> None:
    """Give the gateway that was `old`'s to `new`, with its log. On a host only one that is installed."""
    host = manager is not None and not manager.supports_runtime_registration()
    if not host:
        unregister(manager, old.profile)
    with contextlib.suppress(OSError):
        old.gateway_log.rename(new.gateway_log)
    if host:
        from hermes_cli.gateway.service import move_installation

        assert manager is not None
        move_installation(manager, old.profile, new)
    else:
        register(manager, new.profile)


def can_start(manager: ServiceManager, home: Home) -> bool:
    """Whether there is something to start: on a host, only what has been installed."""
    name = service_name(home.profile)
    return manager.supports_runtime_registration() or manager.status_all([name])[name].registered


def wants_to_run(home: Home) -> bool:
    """Whether the operator's last word was to run it."""
    from hermes_cli.gateway.records import IntentRecord

    try:
        intent = load(home.intent, IntentRecord)
    except CorruptFileError:
        return False
    return intent is not None and intent.intent == "running" and not os.path.lexists(home.parked)


def _undo_creation(profile: str, manager: ServiceManager | None, root: Path) -> str | None:
    path = hidden(root, profile, NEW)
    if not os.path.lexists(Home(profile, root).path):
        unregister(manager, profile)
    remove_tree(path)
    return f"profile {profile!r} was half made and has been removed again"


def _finish_deletion(profile: str, manager: ServiceManager | None, root: Path) -> str | None:
    path = hidden(root, profile, DELETED)
    with claimed(path) as mine:
        if not mine:
            return None
        if not os.path.lexists(Home(profile, root).path):
            unregister(manager, profile)
        end_and_remove(path)
    return f"profile {profile!r} was half deleted and is gone now"


def _settle_rename(profile: str, manager: ServiceManager | None, root: Path) -> str | None:
    path = hidden(root, profile, RENAMING)
    new = path.read_text(errors="replace")[:512]
    if not os.path.lexists(Home(profile, root).path) and is_name(new):
        sentence = f"profile {profile!r} was half renamed and is called {new!r} now"
        home = Home(new, root)
        move_registration(manager, Home(profile, root), home)
    else:
        sentence = f"profile {profile!r} was to be renamed, and has kept its name"
        home = Home(profile, root)
    wanted = os.path.lexists(home.path) and wants_to_run(home)
    if manager is not None and wanted and can_start(manager, home):
        from hermes_cli.gateway.lifecycle import Lifecycle

        Lifecycle(manager, root).start(home.profile)
    path.unlink()
    return sentence


_HANDLERS: dict[str, Callable[[str, ServiceManager | None, Path], str | None]] = {
    NEW: _undo_creation,
    DELETED: _finish_deletion,
    RENAMING: _settle_rename,
}


def _make_writable(path: Path) -> None:
    path.chmod(0o700)
    for _, directories, _, descriptor in os.fwalk(path, follow_symlinks=False):
        for name in directories:
            status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                os.chmod(name, 0o700, dir_fd=descriptor)
