"""The s6 backend: verbs on the slots of a scandir, each with a verified outcome."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from . import spawn
from .errors import (
    GatewayNotRegisteredError,
    InvalidNameError,
    PermissionDeniedError,
    S6CommandError,
    ServiceError,
    ServiceParkedError,
    ServiceTimeoutError,
    SupervisorNotAnsweringError,
)
from .locks import verb_lock
from .logs import FileLog, LogReader, follow_log, read_log
from .names import MAX_NAME_LENGTH, SERVICE_PREFIX, profile_of, service_name, validate_profile_name
from .s6_registrar import Registrar, profile_of_spec
from .s6_seen import Seen, marks_of
from .s6_status import FIELDS, Deaths, SvStat, parse_svdt, parse_svstat, to_status
from .types import RenderedFile, ServiceManagerKind, ServiceSpec, ServiceStatus
from .watch import REPLACED, Watch

_RELOOK = 0.5
"""Seconds until the status is looked at again without having been told to."""

_SUPERVISOR_RETURNS = 3.0
"""Seconds a killed s6-supervise may take to come back: s6-svscan waits one before it starts another."""

_NOT_LISTENING = (1, 100)
"""Exit codes of s6-svstat and of s6-svc for a supervisor that is not there."""

_REMEDY = "run it as the user hermes (docker exec -u hermes …), or as root"


class S6ServiceManager:
    """The services below an s6 scandir. Start, stop and restart go straight to s6-supervise.

    `log_root` holds one s6-log directory per profile; `$HERMES_HOME/logs/gateways` if not given.
    `start_timeout` and `stop_timeout` are seconds; a verb also waits at most their sum for another
    command on the same service. `stop_timeout` should exceed the slots' timeout-kill.
    """

    def __init__(
        self,
        scandir: Path = Path("/run/service"),
        *,
        slotctl: Path = Path("/opt/hermes/docker/slotctl"),
        registrar: Path = Path("/run/hermes-registrar/s"),
        env_dir: Path = Path("/run/hermes/env"),
        lock_dir: Path = Path("/run/hermes/locks"),
        log_root: Path | None = None,
        start_timeout: float = 30.0,
        stop_timeout: float = 35.0,
    ) -> None:
        self._scandir = scandir
        self._registrar = Registrar(scandir, slotctl, registrar, env_dir)
        self._lock_dir = lock_dir
        self._log_root = log_root or Path(os.environ.get("HERMES_HOME", "/opt/data"), "logs/gateways")
        self._start_timeout = start_timeout
        self._stop_timeout = stop_timeout
        self._seen = Seen()

    @property
    def kind(self) -> ServiceManagerKind:
        return "s6"

    def start(self, name: str) -> None:
        """Return when the service is ready; raise `ServiceParkedError` if it parks itself instead."""
        slot = self._slot(name)
        with self._lock(name, "start"):
            self._up(slot)

    def stop(self, name: str) -> None:
        """Return when the service is down, its finish script through, and marked to stay down."""
        slot = self._slot(name)
        with self._lock(name, "stop"):
            self._down(slot)

    def restart(self, name: str) -> None:
        """Return when the service is ready with a new pid. A stopped service is started."""
        slot = self._slot(name)
        with self._lock(name, "restart"):
            before = self._look(slot).pid
            self._down(slot)
            after = self._up(slot).pid
            if after == before:
                raise ServiceError(f"{name} has pid {after} as before: it was not restarted; try again")

    def is_running(self, name: str) -> bool:
        return self.status(name).running

    def status(self, name: str) -> ServiceStatus:
        """What s6 says of the service. A service that is not there has `registered` False.

        Raises `SupervisorNotAnsweringError` and `PermissionDeniedError`; `status_all` puts them in words.
        """
        slot = self._slot(name)
        try:
            stat = self._look(slot)
        except GatewayNotRegisteredError:
            return ServiceStatus(name, registered=False)
        tally = [slot] if _has_deaths(slot) else []
        return to_status(name, stat, self._deaths(tally).get(slot, Deaths(0, None, None)))

    def status_all(self, names: Iterable[str] | None = None) -> dict[str, ServiceStatus]:
        """The status of many services at once, by name, in order; of all gateways if `names` is None.

        One that cannot be asked does not hide the others: its status says so in `answering` and `detail`.
        Those that have not moved since they were last asked here, and are still supervised, are not asked.
        """
        if names is None:
            names = [SERVICE_PREFIX + profile for profile in self.list_profile_gateways()]
        slots = {name: self._slot(name) for name in names}
        marks = {name: marks_of(slot) for name, slot in slots.items()}
        known = {
            name: status
            for name, slot in slots.items()
            if (status := self._seen.status(name, marks[name])) is not None and _listening(slot) is None
        }
        asked = self._ask({name: slot for name, slot in slots.items() if name not in known})
        found = {name: known[name] if name in known else asked[name] for name in slots}
        self._seen.keep(found, marks)
        return found

    def _ask(self, slots: dict[str, Path]) -> dict[str, ServiceStatus]:
        answers = spawn.run_all([["s6-svstat", "-o", FIELDS, os.fspath(slot)] for slot in slots.values()])
        deaths = self._deaths([slot for slot in slots.values() if _has_deaths(slot)])
        found = {}
        for (name, slot), answer in zip(slots.items(), answers, strict=True):
            try:
                stat = self._read(slot, answer)
            except GatewayNotRegisteredError:
                found[name] = ServiceStatus(name, registered=False)
            except ServiceError as error:
                found[name] = ServiceStatus(name, registered=True, answering=False, detail=str(error))
            else:
                found[name] = to_status(name, stat, deaths.get(slot, Deaths(0, None, None)))
        return found

    def logs(self, name: str, *, lines: int = 100, follow: bool = False) -> Iterator[str]:
        """Yield the last `lines` lines of a gateway's log, oldest first; with `follow`, go on until closed.

        The log outlives its slot. Raises at once, not at the first line.
        """
        directory = self._log_directory(name)
        return follow_log(directory, lines) if follow else read_log(directory, lines)

    def open_log(
        self, name: str, *, lines: int | None = 100, since: float = 0.0, cursor: str | None = None
    ) -> LogReader:
        """The reader of the log; see `KeepsLogs`."""
        return FileLog(self._log_directory(name), lines=lines, since=since, cursor=cursor)

    def _log_directory(self, name: str) -> Path:
        directory = self._log_root / profile_of(name)
        if not directory.is_dir():
            if not self._slot(name).is_dir():
                raise _not_registered(name)
        elif not os.access(directory, os.R_OK | os.X_OK):
            raise PermissionDeniedError(name, f"read {directory}, the log of", _REMEDY)
        return directory

    def install(self, spec: ServiceSpec, *, force: bool = False) -> None:
        """Register the slot of a gateway, down. A spec that needs another shape than a slot's is refused.

        Only root can change a slot by hand, so `force` has nothing to overrule.
        """
        profile = profile_of_spec(spec, profile_of(spec.name))
        self.register_profile_gateway(profile, extra_env=dict(spec.environment))

    def uninstall(self, name: str) -> None:
        self.unregister_profile_gateway(profile_of(name))

    def render(self, spec: ServiceSpec) -> list[RenderedFile]:
        return self._registrar.render(profile_of_spec(spec, profile_of(spec.name)), spec.environment)

    def supports_runtime_registration(self) -> bool:
        return True

    def register_profile_gateway(
        self, profile: str, *, extra_env: dict[str, str] | None = None, start_now: bool = False
    ) -> None:
        """Make the slot of `profile`, down, and start it if `start_now`. One that exists is kept.

        `extra_env` replaces what an earlier registration gave; None leaves it.
        """
        name = service_name(profile)
        with self._lock(name, "register"):
            if extra_env is not None:
                self._registrar.write_environment(profile, extra_env)
            self._registrar.register(profile)
            slot = self._slot(name)
            self._look(slot)
            if start_now:
                self._up(slot)

    def unregister_profile_gateway(self, profile: str) -> None:
        """Stop the gateway of `profile`, and make s6 forget it. Missing is fine."""
        name = service_name(profile)
        slot = self._slot(name)
        with self._lock(name, "unregister"):
            if slot.is_dir() and _listening(slot) is None:
                self._down(slot)
            self._registrar.unregister(profile)
            if slot.exists():
                raise S6CommandError(name, "unregister", 0, f"{slot} is still there")

    def list_profile_gateways(self) -> list[str]:
        profiles = []
        try:
            with os.scandir(self._scandir) as entries:
                for entry in entries:
                    if entry.name.startswith(SERVICE_PREFIX) and entry.is_dir():
                        profiles.append(entry.name.removeprefix(SERVICE_PREFIX))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ServiceError(f"cannot list {self._scandir}: {error.strerror}") from error
        return sorted(filter(_is_profile, profiles))

    def _slot(self, name: str) -> Path:
        """Its directory; raises `InvalidNameError` for a name that could lead out of the scandir."""
        if len(name) > len(SERVICE_PREFIX) + MAX_NAME_LENGTH:
            raise InvalidNameError(name, "a service name has at most 251 characters")
        validate_profile_name(name.removeprefix(SERVICE_PREFIX))
        return self._scandir / name

    def _lock(self, name: str, action: str) -> AbstractContextManager[None]:
        return verb_lock(self._lock_dir, name, action, self._start_timeout + self._stop_timeout)

    def _up(self, slot: Path) -> SvStat:
        deadline = time.monotonic() + self._start_timeout

        # Up and not wanted: on its way down, or to run only once (s6-svc -o, -Q). It has to go down first.
        found = self._drive(slot, None, "start", lambda _: True, deadline, self._start_timeout)
        if found.up and not found.wanted:
            self._drive(slot, "-D", "start", lambda _: True, deadline, self._start_timeout)

        # A finish script still running may park with the answer to an earlier order.
        def settled(stat: SvStat) -> bool:
            return not stat.finishing and (stat.wanted or not stat.up)

        before = self._drive(slot, None, "start", settled, deadline, self._start_timeout)

        def ready(stat: SvStat) -> bool:
            if stat.parked and stat.since != before.since and not stat.finishing:
                raise ServiceParkedError(slot.name, f"it gave up while starting ({stat.last_end()})")
            if stat.stopped and stat.since != before.since:
                raise ServiceError(f"{slot.name} was stopped by another command while it started")
            return stat.up and stat.wanted and stat.ready and stat.normally_up

        return self._drive(slot, "-U", "start", ready, deadline, self._start_timeout)

    def _down(self, slot: Path) -> None:
        deadline = time.monotonic() + self._stop_timeout
        self._drive(slot, "-D", "stop", lambda stat: stat.stopped, deadline, self._stop_timeout)

    def _drive(
        self,
        slot: Path,
        order: str | None,
        action: str,
        reached: Callable[[SvStat], bool],
        deadline: float,
        timeout: float,
    ) -> SvStat:
        """Give the order and return the first status that has `reached` what it is for.

        No subscription to s6's events: whoever may subscribe can have the supervisor, root, write
        through a link of his own (docs/service-manager.md). The status file is watched instead.
        """
        given = order is None
        lost: float | None = None
        with Watch(slot / "supervise/status", REPLACED) as watch:
            while True:
                watch.arm()
                now = time.monotonic()
                try:
                    if not given:
                        self._svc(slot, order, action)
                        given = True
                    stat = self._look(slot, action)
                except SupervisorNotAnsweringError:
                    # Killed, and coming back without our order: it is safe to give it twice.
                    lost = now if lost is None else lost
                    if now - lost >= _SUPERVISOR_RETURNS or now >= deadline:
                        raise
                    given = order is None
                    watch.wait(0.1)
                    continue
                lost = None
                if reached(stat):
                    return stat
                if now >= deadline:
                    raise ServiceTimeoutError(slot.name, action, timeout, stat.in_words())
                watch.wait(min(deadline - now, _RELOOK))

    def _svc(self, slot: Path, order: str | None, action: str) -> None:
        done = spawn.run(["s6-svc", order or "", os.fspath(slot)])
        if done.returncode != 0:
            raise self._why(slot, action, done)

    def _look(self, slot: Path, action: str = "see the status of") -> SvStat:
        return self._read(slot, spawn.run(["s6-svstat", "-o", FIELDS, os.fspath(slot)]), action)

    def _read(self, slot: Path, done: spawn.Completed, action: str = "see the status of") -> SvStat:
        if done.returncode != 0:
            raise self._why(slot, action, done)
        try:
            return parse_svstat(done.stdout)
        except ValueError as error:
            raise S6CommandError(slot.name, action, 0, str(error)) from error

    def _deaths(self, slots: list[Path]) -> dict[Path, Deaths | None]:
        answers = spawn.run_all([["s6-svdt", os.fspath(slot)] for slot in slots])
        return {
            slot: parse_svdt(answer.stdout) if answer.returncode == 0 else None
            for slot, answer in zip(slots, answers, strict=True)
        }

    def _why(self, slot: Path, action: str, done: spawn.Completed) -> ServiceError:
        """The error for an s6 program that failed on `slot`."""
        problem = _listening(slot)
        if problem in (errno.EACCES, errno.EPERM):
            return PermissionDeniedError(slot.name, action, _REMEDY)
        if not slot.exists():
            return _not_registered(slot.name)
        if problem in (errno.ENOENT, errno.ENXIO, errno.ENOTDIR) or done.returncode in _NOT_LISTENING:
            return SupervisorNotAnsweringError(slot.name)
        return S6CommandError(slot.name, action, done.returncode, done.stderr)


def _listening(slot: Path) -> int | None:
    """None if s6-supervise reads its control FIFO, else the errno. What s6-svok does, without a process."""
    try:
        descriptor = os.open(slot / "supervise/control", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return error.errno
    os.close(descriptor)
    return None


def _has_deaths(slot: Path) -> bool:
    """False if the tally is certainly empty: most are, and asking costs a process."""
    try:
        return (slot / "supervise/death_tally").stat().st_size > 0
    except OSError:
        return True


def _not_registered(name: str) -> GatewayNotRegisteredError:
    return GatewayNotRegisteredError(name.removeprefix(SERVICE_PREFIX), name)


def _is_profile(name: str) -> bool:
    try:
        validate_profile_name(name)
    except InvalidNameError:
        return False
    return True
