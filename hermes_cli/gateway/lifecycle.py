"""Start, stop and restart as the operator means them: the intent first, then the service manager.

A library of its own above the service manager, which knows no homes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

from hermes_cli.home import Home, HomeError, load, root_home, save, write_atomic
from hermes_cli.service_manager.errors import (
    GatewayNotRegisteredError,
    NoBusError,
    NoServiceManagerError,
    PermissionDeniedError,
    ServiceError,
    ServiceParkedError,
    ServiceTimeoutError,
)
from hermes_cli.service_manager.locks import verb_lock
from hermes_cli.service_manager.names import DEFAULT_PROFILE, service_name
from hermes_cli.service_manager.types import ServiceManager

from . import park
from .lock import ORPHAN_GRACE, holder_of
from .ownership import IDENTITY, acting_as_owner, owner_other_than_root
from .reasons import reason_of
from .records import Intent, IntentRecord, ParkedRecord, StateRecord
from .service import is_host, telling_how_to_install

VOLUME_HELD = Path("/run/hermes/volume-held")
"""There while another container has the volume; its text says which."""

_OTHER_VERB = 75.0
"""Seconds to wait for another command on the same gateway: more than a restart may take."""


class NoSuchHomeError(HomeError):
    """The profile has no home to write an intent into."""

    def __init__(self, home: Home) -> None:
        super().__init__(
            f"there is no profile {home.profile!r} ({home.path} is no directory); "
            "'hermes profile list' shows all"
        )


class VolumeHeldError(ServiceError):
    """Another container runs the gateways of this volume."""

    def __init__(self, profile: str, holder: str) -> None:
        super().__init__(
            f"{service_name(profile)} is not started here, because another container holds the volume "
            f"({holder}); stop that one, then restart this one"
        )
        self.holder = holder


class Lifecycle:
    """The verbs on the gateways below one root home. Without a manager only `stop` can do anything."""

    def __init__(self, manager: ServiceManager | None, root: Path | None = None) -> None:
        self._manager = manager
        self._root = root if root is not None else root_home()

    def start(self, profile: str) -> None:
        """Return when the gateway is ready; raises `ServiceError` or `HomeError`.

        Clears the parking slip, and, by the time of the intent, the count of unclean starts.
        """
        with self._verb(profile, "start") as home:
            manager = self._before_start(home)
            self._bring_up(home, manager.start)

    def restart(self, profile: str) -> None:
        """Return when the gateway is ready with a new pid; a stopped one is started."""
        with self._verb(profile, "restart") as home:
            manager = self._before_start(home)
            self._bring_up(home, manager.restart)

    def stop(self, profile: str) -> None:
        """Return when no gateway of this home runs, supervised or not."""
        with self._verb(profile, "stop") as home, self._intending(home, "stopped"):
            missing: GatewayNotRegisteredError | None = None
            try:
                if self._manager is not None:
                    with telling_how_to_install(self._manager, profile):
                        self._manager.stop(service_name(profile))
            except GatewayNotRegisteredError as error:
                missing = error
            if not self._end_unsupervised(home) and missing is not None:
                raise missing

    def stop_everything(self, profile: str) -> None:
        """`stop`, then end the background processes; raises `ProcessError` where some do not end."""
        from hermes_cli.processes.ending import end_processes, used_sandboxes

        self.stop(profile)
        home = self._home(profile)
        end_processes(home.processes)
        if used_sandboxes(home.processes):
            from hermes_cli.processes.environments import end_in_sandbox

            end_in_sandbox(home)

    def intent(self, profile: str) -> IntentRecord | None:
        """What was asked for last; None where nothing was. Raises `CorruptFileError`."""
        return load(self._home(profile).intent, IntentRecord)

    def state(self, profile: str) -> StateRecord | None:
        """What the gateway last said of itself, alive or not. Raises `CorruptFileError`."""
        return load(self._home(profile).state, StateRecord)

    def parked(self, profile: str) -> ParkedRecord | None:
        """Why the gateway is parked, or None."""
        return park.parked(self._home(profile))

    def _home(self, profile: str) -> Home:
        return Home.of(profile, self._root)

    @contextmanager
    def _verb(self, profile: str, action: str) -> Iterator[Home]:
        """Exclude other commands on this gateway, so that the intent and the service end up the same."""
        home = self._home(profile)
        if _is_gone(home):
            raise NoSuchHomeError(home)
        try:
            with ExitStack() as stack:
                if owner_other_than_root(home) is not None:
                    stack.enter_context(IDENTITY)
                with acting_as_owner(home):
                    stack.enter_context(self._exclusively(home, action))
                yield home
        except (HomeError, ServiceError) as error:
            # Deleted or renamed meanwhile: whatever failed, that is why.
            if _is_gone(home):
                raise NoSuchHomeError(home) from error
            raise

    def _exclusively(self, home: Home, action: str) -> AbstractContextManager[None]:
        # `default` always exists, even before anything was written; what cannot be made, the intent tells.
        # Another home is not made again here: it may be on its way out.
        with suppress(OSError):
            home.run_dir.mkdir(mode=0o700, parents=home.profile == DEFAULT_PROFILE, exist_ok=True)
            (home.run_dir / "locks").mkdir(exist_ok=True)
        if _is_gone(home):
            raise NoSuchHomeError(home)
        return verb_lock(home.run_dir / "locks", service_name(home.profile), action, _OTHER_VERB)

    def _before_start(self, home: Home) -> ServiceManager:
        try:
            holder = VOLUME_HELD.read_text(errors="replace").strip()[:200]
        except OSError:
            pass
        else:
            raise VolumeHeldError(home.profile, holder or "it left no name")
        if self._manager is None:
            raise NoServiceManagerError("none")
        if is_host(self._manager) and not self._manager.status(service_name(home.profile)).registered:
            # Before the intent is written: nothing here could ever follow it.
            with telling_how_to_install(self._manager, home.profile):
                raise GatewayNotRegisteredError(home.profile, service_name(home.profile))
        return self._manager

    def _bring_up(self, home: Home, verb: Callable[[str], None]) -> None:
        with self._intending(home, "running"):
            self._follow_intent(home, verb)

    def _follow_intent(self, home: Home, verb: Callable[[str], None]) -> None:
        try:
            with acting_as_owner(home):
                park.clear(home)
        except OSError as error:
            raise HomeError(f"{home.parked} could not be removed: {reason_of(error)}") from error
        try:
            verb(service_name(home.profile))
        except ServiceParkedError as error:
            slip = park.parked(home)
            raise ServiceParkedError(error.service, slip.reason if slip else error.reason) from error

    @contextmanager
    def _intending(self, home: Home, intent: Intent) -> Iterator[None]:
        """Write the intent first; who turns out not to be allowed to give the order has wanted nothing."""
        try:
            before = home.intent.read_bytes()
        except OSError:
            before = None
        self._write_intent(home, intent)
        try:
            yield
        except (PermissionDeniedError, NoBusError):
            with suppress(OSError), acting_as_owner(home):
                home.intent.unlink() if before is None else write_atomic(home.intent, before, mode=0o600)
            raise

    def _write_intent(self, home: Home, intent: Intent) -> None:
        record = IntentRecord(intent=intent, requested_at=time.time(), requested_by=_caller())
        try:
            with acting_as_owner(home):
                save(home.intent, record)
        except OSError as error:
            raise HomeError(f"{home.intent} could not be written: {reason_of(error)}") from error

    def _end_unsupervised(self, home: Home) -> bool:
        """End a gateway that no manager knows: started by hand, or left over by a lost supervisor."""
        holder = holder_of(home)
        if holder is None:
            return False
        name = service_name(home.profile)
        try:
            gone = holder.end(grace=ORPHAN_GRACE)
        except PermissionError as error:
            remedy = f"pid {holder.pid} belongs to another user; stop it as that user, or as root"
            raise PermissionDeniedError(name, "stop", remedy) from error
        if not gone:
            raise ServiceTimeoutError(name, "stop", ORPHAN_GRACE, f"pid {holder.pid} is still there")
        return True


def _is_gone(home: Home) -> bool:
    return home.profile != DEFAULT_PROFILE and not home.path.is_dir()


def _caller() -> str:
    return f"uid {os.getuid()}" if hasattr(os, "getuid") else "cli"
