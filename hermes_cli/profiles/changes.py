"""Create, delete, rename: each is done or not done, whatever interrupts it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from hermes_cli.home import Home, not_a_profile, root_home, sync_directory
from hermes_cli.processes.ending import end_processes, used_sandboxes
from hermes_cli.service_manager.errors import GatewayNotRegisteredError
from hermes_cli.service_manager.names import DEFAULT_PROFILE, service_name, validate_profile_name
from hermes_cli.service_manager.types import ServiceManager

from .alias import make_alias, remove_alias
from .errors import (
    GatewayRunningError,
    NotAProfileError,
    ProfileExistsError,
    ReservedProfileError,
    StorageError,
)
from .half_done import DELETED, NEW, RENAMING, hidden
from .lock import claimed, profiles_lock
from .recover import (
    can_start,
    end_and_remove,
    move_registration,
    recover_locked,
    register,
    remove_tree,
    unregister,
    wants_to_run,
)
from .seed import seed_directory
from .survey import Profile, free_port, look_at, require_profile


def create_profile(name: str, *, manager: ServiceManager | None = None, root: Path | None = None) -> Profile:
    """Make a profile with a port and a token of its own; its gateway is registered, and down.

    The home appears under its name as the last step. Raises `ProfileError` or `ServiceError`; then
    nothing is left of it.
    """
    root = root if root is not None else root_home()
    _check_name(name, "created")
    home = Home(name, root)
    with _storage(name, "create", home.path), profiles_lock(root):
        home.path.parent.mkdir(mode=0o700, exist_ok=True)
        recover_locked(manager, root)
        _check_free(home)
        staging = hidden(root, name, NEW)
        try:
            seed_directory(staging, free_port(root))
            register(manager, name)
            staging.rename(home.path)
        except BaseException:
            with contextlib.suppress(Exception):
                unregister(manager, name)
            with contextlib.suppress(OSError):
                remove_tree(staging)
            raise
        sync_directory(home.path.parent)
        # The profile is made: a host directory that takes no script costs only the alias.
        with contextlib.suppress(OSError):
            make_alias(root, name, manager)
    return look_at(home)


def delete_profile(name: str, *, manager: ServiceManager | None = None, root: Path | None = None) -> None:
    """Stop and remove the gateway, background processes, the registration, the alias, the log and the home.

    Raises `ProfileError`, `ServiceError` or `ProcessError`. Where the gateway cannot be stopped, or a process
    does not end, nothing is removed; where files resist, the profile is gone all the same and the next
    command tries again.
    """
    root = root if root is not None else root_home()
    _check_name(name, "deleted")
    home = require_profile(name, root)
    doomed = hidden(root, name, DELETED)
    with _storage(name, "delete", home.path):
        _stop(home, manager)
        end_processes(home.processes)
        if used_sandboxes(home.processes):
            from hermes_cli.processes.environments import discard_sandboxes

            discard_sandboxes(home)
        with profiles_lock(root):
            recover_locked(manager, root)
            require_profile(name, root)
            _clear(doomed)
            home.path.rename(doomed)
            try:
                unregister(manager, name)
            except BaseException:
                doomed.rename(home.path)
                raise
            sync_directory(doomed.parent)
            remove_alias(root, name)
        with claimed(doomed) as mine:
            if mine:
                end_and_remove(doomed)
        with contextlib.suppress(OSError):
            remove_tree(home.gateway_log)


def rename_profile(
    old: str, new: str, *, manager: ServiceManager | None = None, root: Path | None = None
) -> Profile:
    """Give a profile another name. Its gateway is stopped for it, and started again if it was to run.

    Raises `ProfileError` or `ServiceError`; then it has its old name, and runs if it was to run. Only where
    nothing but that last start fails, it has the new one.
    """
    root = root if root is not None else root_home()
    _check_name(old, "renamed")
    _check_name(new, "made by renaming")
    home, target = require_profile(old, root), Home(new, root)
    with _storage(old, "rename", home.path), profiles_lock(root):
        recover_locked(manager, root)
        require_profile(old, root)
        _check_free(target)
        marker = hidden(root, old, RENAMING)
        try:
            marker.write_text(new)
            # The manager's own stop: the operator's intent moves with the home, unchanged.
            if manager is not None:
                with contextlib.suppress(GatewayNotRegisteredError):
                    manager.stop(service_name(old))
            _check_stopped(home)
            _move(home, target, manager)
        except BaseException:
            recover_locked(manager, root)
            raise
        sync_directory(home.path.parent)
        remove_alias(root, old)
        with contextlib.suppress(OSError):
            make_alias(root, new, manager)
        try:
            if manager is not None and wants_to_run(target) and can_start(manager, target):
                from hermes_cli.gateway.lifecycle import Lifecycle

                Lifecycle(manager, root).start(new)
        finally:
            marker.unlink()
    return look_at(target)


def _move(home: Home, target: Home, manager: ServiceManager | None) -> None:
    home.path.rename(target.path)
    try:
        move_registration(manager, home, target)
    except BaseException:
        target.path.rename(home.path)
        with contextlib.suppress(Exception):
            move_registration(manager, target, home)
        with contextlib.suppress(Exception):
            register(manager, home.profile)
        raise


def _stop(home: Home, manager: ServiceManager | None) -> None:
    from hermes_cli.gateway.lifecycle import Lifecycle

    with contextlib.suppress(GatewayNotRegisteredError):
        Lifecycle(manager, home.root).stop(home.profile)
    _check_stopped(home)


def _check_stopped(home: Home) -> None:
    from hermes_cli.gateway.lock import holder_of

    holder = holder_of(home)
    if holder is not None:
        raise GatewayRunningError(home.profile, holder.pid)


def _check_name(name: str, action: str) -> None:
    if validate_profile_name(name) == DEFAULT_PROFILE:
        raise ReservedProfileError(name, action)


def _check_free(home: Home) -> None:
    if not os.path.lexists(home.path):
        return
    objection = not_a_profile(home.path)
    if objection is None:
        raise ProfileExistsError(home.profile, home.path)
    raise NotAProfileError(home.profile, home.path, objection)


def _clear(doomed: Path) -> None:
    """Wait for an earlier deletion of the same name that is still at work, and remove what it left."""
    if os.path.lexists(doomed):
        with claimed(doomed, wait=30.0):
            end_and_remove(doomed)


@contextlib.contextmanager
def _storage(profile: str, action: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(profile, action, error, path) from error
