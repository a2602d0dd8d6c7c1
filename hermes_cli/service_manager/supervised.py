"""The verbs on services that run under Hermes' own supervisor: the part that launchd and Windows share."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from .errors import (
    GatewayNotRegisteredError,
    InvalidNameError,
    PermissionDeniedError,
    ServiceError,
    ServiceParkedError,
    ServiceTimeoutError,
)
from .installed import signed
from .locks import verb_lock
from .logs import FileLog, LogReader, follow_log, numbered_parts, read_log
from .names import SERVICE_PREFIX, profile_of
from .process_identity import boot_id
from .supervisor_child import end_leftover
from .supervisor_control import give_order
from .supervisor_files import LIVE, ORDER, SPEC, STATE, Notify, State, Supervised, write_order
from .types import RenderedFile, ServiceSpec, ServiceStatus
from .watch import REPLACED, Watch

SUPERVISOR_COMES = 15.0
"""Seconds that the init may take to begin a supervisor it was told to begin."""
_GRACE = 10.0
"""Seconds beyond the service's own stop timeout until its supervisor has ended it."""
_RELOOK = 0.1

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


class SupervisedServices:
    """Start, stop, restart, status and logs. A backend installs, and has its init begin a supervisor."""

    def __init__(self, *, state_root: Path, log_root: Path, notify: Notify, python: str) -> None:
        self.state_root, self.log_root = state_root, log_root
        self._notify, self._python = notify, python

    # What a backend adds

    def _registered(self, name: str) -> str | None:
        """Where the init has the service, in a word for a person; None where it has not. ServiceError."""
        raise NotImplementedError

    def _launch(self, name: str) -> None:
        """Make the init begin the supervisor. ServiceError."""
        raise NotImplementedError

    def _halt(self, name: str) -> None:
        """Make the init end the supervisor, and not begin it again. ServiceError."""
        raise NotImplementedError

    def _note(self, name: str, where: str) -> str:
        """What a person should know besides, or nothing."""
        return ""

    # The verbs

    def start(self, name: str) -> None:
        with self._verb(name, "start") as spec:
            self._start(name, spec, "start")

    def stop(self, name: str) -> None:
        with self._verb(name, "stop") as spec:
            self._stop(name, spec)

    def restart(self, name: str) -> None:
        with self._verb(name, "restart") as spec:
            self._stop(name, spec)
            self._start(name, spec, "restart")

    def is_running(self, name: str) -> bool:
        return self.status(name).running

    def status(self, name: str) -> ServiceStatus:
        return self.status_all([check_name(name)])[name]

    def status_all(self, names: Iterable[str] | None = None) -> dict[str, ServiceStatus]:
        found = {}
        for name in self._gateways() if names is None else names:
            try:
                where = self._registered(check_name(name))
            except ServiceError as error:
                found[name] = ServiceStatus(name, registered=True, answering=False, detail=str(error))
                continue
            found[name] = self._status(name, where)
        return found

    def logs(self, name: str, *, lines: int = 100, follow: bool = False) -> Iterator[str]:
        spec = self._load(name)
        log = Path(spec.log)
        read = follow_log if follow else read_log
        return read(log.parent, lines, numbered_parts(log.name))

    def open_log(
        self, name: str, *, lines: int | None = 100, since: float = 0.0, cursor: str | None = None
    ) -> LogReader:
        """The reader of the log; see `KeepsLogs`."""
        log = Path(self._load(name).log)
        parts = numbered_parts(log.name)
        return FileLog(log.parent, lines=lines, since=since, cursor=cursor, parts=parts)

    def supports_runtime_registration(self) -> bool:
        return False

    def register_profile_gateway(
        self, profile: str, *, extra_env: dict[str, str] | None = None, start_now: bool = False
    ) -> None:
        raise NotImplementedError("a host's gateways are installed: 'hermes gateway install'")

    def unregister_profile_gateway(self, profile: str) -> None:
        raise NotImplementedError("a host's gateways are uninstalled: 'hermes gateway uninstall'")

    def list_profile_gateways(self) -> list[str]:
        return []

    # Parts of an installation

    def directory(self, name: str) -> Path:
        """The service's own: what its supervisor is told, and what it reports."""
        return self.state_root / check_name(name)

    def _specification(self, spec: ServiceSpec) -> RenderedFile:
        # Another user's supervisor can write in its own directory alone.
        log = spec.stdout or (self.directory(spec.name) if spec.user else self.log_root) / f"{spec.name}.log"
        text = Supervised.of(spec, log=Path(log), notify=self._notify).encode()
        return RenderedFile(self.directory(spec.name) / SPEC, signed(text, "json"), 0o600)

    def _supervisor_command(self, name: str) -> list[str]:
        supervisor = Path(__file__).resolve().with_name("supervisor.py")
        return [self._python, "-I", "-S", str(supervisor), str(self.directory(name) / SPEC)]

    def _make_directory(self, name: str) -> Path:
        directory = self.directory(name)
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ServiceError(f"cannot make {directory} for {name}: {error.strerror}") from error
        return directory

    def _remove_directory(self, name: str) -> None:
        directory = self.directory(name)
        # The specification goes last: until then the next run sees that there is something to remove.
        with contextlib.suppress(OSError):
            for path in directory.iterdir():
                if path.name != SPEC:
                    path.unlink()
        shutil.rmtree(directory, ignore_errors=True)
        if directory.exists():
            raise ServiceError(f"cannot remove {directory} of {name}; remove it yourself")

    def _lock(self, name: str, action: str, timeout: float) -> AbstractContextManager[None]:
        return verb_lock(self.state_root / "locks", name, action, timeout)

    @contextlib.contextmanager
    def _verb(self, name: str, action: str) -> Iterator[Supervised]:
        check_name(name)
        patience = 60.0
        with contextlib.suppress(ServiceError):
            spec = Supervised.load(self.directory(name) / SPEC)
            patience = spec.start_timeout + spec.stop_timeout + _GRACE + SUPERVISOR_COMES
        with self._lock(name, action, patience):
            if self._registered(name) is None:
                raise self._missing(name)
            try:
                yield self._load(name)
            except PermissionError as error:
                raise PermissionDeniedError(name, action, f"{error.filename} is another user's") from error

    def _load(self, name: str) -> Supervised:
        directory = self.directory(name)
        if not (directory / SPEC).exists():
            raise self._missing(name)
        return Supervised.load(directory / SPEC)

    def _missing(self, name: str) -> GatewayNotRegisteredError:
        profile = name.removeprefix(SERVICE_PREFIX)
        option = "" if profile in ("default", name) else f"-p {profile} "
        return GatewayNotRegisteredError(profile, name, f"'hermes {option}gateway install' installs it")

    # How it is done

    def _start(self, name: str, spec: Supervised, action: str) -> None:
        directory = self.directory(name)
        began = time.monotonic()
        while True:
            state = State.load(directory)
            if state is None or not state.supervisor_alive:
                self._order(name, "start")
                self._launch(name)
                break
            if state.phase in LIVE:
                if state.phase != "backing_off" or give_order(directory, "start"):
                    break
            elif time.monotonic() - began > spec.stop_timeout + _GRACE:
                raise ServiceTimeoutError(name, action, spec.stop_timeout + _GRACE, _seen(state))
            self._wait(directory, _RELOOK)  # its last words: it ends, or is about to
        self._until_ready(name, spec, action)

    def _until_ready(self, name: str, spec: Supervised, action: str) -> None:
        directory = self.directory(name)
        deadline = time.monotonic() + spec.start_timeout
        comes = time.monotonic() + SUPERVISOR_COMES
        with Watch(directory / STATE, REPLACED) as watch:
            while True:
                watch.arm()
                state = State.load(directory)
                taken = not (directory / ORDER).exists()
                now = time.monotonic()
                if not taken:
                    # Its time begins when the supervisor does.
                    deadline = now + spec.start_timeout
                    if now > comes:
                        (directory / ORDER).unlink(missing_ok=True)
                        raise ServiceTimeoutError(name, action, SUPERVISOR_COMES, self._why_absent(name))
                elif state is not None:
                    if state.phase == "ready" and state.child_alive:
                        return
                    if state.phase == "parked":
                        raise ServiceParkedError(name, state.reason)
                    deadline = max(deadline, min(state.start_by, now + 3600))
                if now > deadline:
                    raise ServiceTimeoutError(name, action, spec.start_timeout, _seen(state))
                watch.wait(min(_RELOOK, max(0.0, deadline - now)))

    def _why_absent(self, name: str) -> str:
        return "its supervisor does not begin"

    def _stop(self, name: str, spec: Supervised) -> None:
        directory = self.directory(name)
        with contextlib.suppress(FileNotFoundError):
            (directory / ORDER).unlink()
        state = State.load(directory)
        if state is None:
            return
        if not state.supervisor_alive:
            if not state.child_alive and (state.phase not in (*LIVE, "stopping") or state.boot != boot_id()):
                if state.phase == "parked":  # from now on it is down because somebody said so
                    state.phase, state.reason = "stopped", ""
                    state.save(directory, durable=True)
                return
            # It was killed; the init may begin another at any moment, and that one is to end what is left.
            self._order(name, "stop")
            with contextlib.suppress(ServiceError):
                self._launch(name)
        elif not give_order(directory, "stop"):
            self._order(name, "stop")
        if not self._until_down(directory, spec.stop_timeout + _GRACE):
            self._end_by_force(name, spec)

    def _until_down(self, directory: Path, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        with Watch(directory / STATE, REPLACED) as watch:
            while True:
                watch.arm()
                state = State.load(directory)
                if state is None or not (state.supervisor_alive or state.child_alive):
                    if state is None or state.phase in ("stopped", "parked"):
                        return True
                elif state.phase in LIVE:
                    give_order(directory, "stop")  # one that began meanwhile
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    return False
                watch.wait(min(_RELOOK, remaining))

    def _end_by_force(self, name: str, spec: Supervised) -> None:
        """The supervisor hangs, or does not come: the init ends it, and this ends what it leaves."""
        directory = self.directory(name)
        self._halt(name)
        state = State.load(directory)
        if state is not None and _is_ours(directory):
            for process in (state.supervisor, state.child):
                if process is not None and process.alive():
                    end_leftover(process, spec)
            if state.supervisor_alive or state.child_alive:
                raise ServiceTimeoutError(name, "stop", spec.stop_timeout + _GRACE, _seen(state))
            state.supervisor, state.child, state.phase = None, None, "stopped"
            state.save(directory, durable=True)
        (directory / ORDER).unlink(missing_ok=True)

    def _order(self, name: str, order: str) -> None:
        try:
            write_order(self.directory(name), "start" if order == "start" else "stop")
        except OSError as error:
            raise ServiceError(f"cannot {order} {name}: {error.filename}: {error.strerror}") from error

    @staticmethod
    def _wait(directory: Path, seconds: float) -> None:
        with Watch(directory / STATE, REPLACED) as watch:
            watch.arm()
            watch.wait(seconds)

    def _gateways(self) -> list[str]:
        try:
            found = sorted(path.name for path in self.state_root.iterdir() if (path / SPEC).exists())
        except OSError:
            return []
        return [name for name in found if name.startswith(SERVICE_PREFIX)]

    def _status(self, name: str, where: str | None) -> ServiceStatus:
        if where is None:
            return ServiceStatus(name, registered=False)
        try:
            state = State.load(self.directory(name))
        except PermissionError:
            detail = f"{self.directory(name)} is another user's"
            return ServiceStatus(name, registered=True, answering=False, detail=detail)
        note = self._note(name, where)
        if state is None:
            return ServiceStatus(name, registered=True, detail="; ".join(filter(None, (where, note))))
        running = state.child_alive
        live = state.phase in LIVE
        wanted = live and (state.supervisor_alive or state.boot == boot_id())
        ready = running and state.phase == "ready"
        words = state.phase.replace("_", " ") if live == wanted else "down, with the boot it ran in"
        return ServiceStatus(
            name,
            registered=True,
            running=running,
            ready=ready,
            wanted=wanted,
            parked=state.phase == "parked",
            pid=state.child.pid if running and state.child else None,
            since=state.since,
            ready_since=state.ready_since if ready else None,
            exit_code=state.exit_code,
            exit_signal=state.exit_signal,
            restarts=state.restarts,
            detail="; ".join(filter(None, (words, state.reason, where, note))),
        )


def check_name(name: str) -> str:
    """Return `name` if a service may be called that; raises `InvalidNameError`."""
    if name.startswith(SERVICE_PREFIX):
        profile_of(name)
        return name
    if not _NAME.fullmatch(name) or name.casefold() in ("locks", "gateway"):
        raise InvalidNameError(
            name, "use at most 200 letters, digits, '.', '_' and '-', and begin with a letter or a digit"
        )
    if name.casefold().startswith(("gateway_", "gateway-")):
        raise InvalidNameError(name, "what begins like a gateway is 'gateway-' and a profile's name")
    return name


def interpreter() -> str:
    """The Python that supervisors run on: this one."""
    return sys.executable


def home_path(variable: str, default: Callable[[], Path]) -> Path:
    """The directory that an environment variable names, or else the default."""
    value = os.environ.get(variable)
    return Path(value) if value else default()


def _is_ours(directory: Path) -> bool:
    """Whether the pids written there are this user's word: root ends nothing because another user says so."""
    return sys.platform == "win32" or directory.stat().st_uid == os.geteuid()


def _seen(state: State | None) -> str:
    if state is None:
        return "its supervisor reports nothing"
    words = state.phase.replace("_", " ")
    pid = f", pid {state.child.pid}" if state.child else ""
    last = state.exit_signal or (None if state.exit_code is None else f"exit code {state.exit_code}")
    return words + pid + (f", last ended by {last}" if last else "")
