"""The small files through which a supervisor and the commands speak: specification, state, order, hold."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from .errors import ServiceError
from .filelock import BINARY, CLOEXEC, NOFOLLOW
from .process_identity import Process, boot_id
from .types import RestartPolicy, ServiceSpec

SPEC, STATE, ORDER, HOLD, CONTROL, LOCK = (
    "spec.json",
    "state.json",
    "order",
    "hold",
    "control.json",
    "supervisor.lock",
)
READY = "ready"
"""What a program writes into that is told of it by $HERMES_NOTIFY_FILE."""
WORDS = "supervisor.log"
"""What the supervisor itself has to say."""

_VERSION = 1
_HOLD_LASTS = 60.0
"""Seconds: a hold that an installer left when it was killed must not swallow the start at the next login."""
_MAX_FILE = 1 << 22

Notify = Literal["descriptor", "file", "none"]
Phase = Literal["starting", "ready", "backing_off", "stopping", "stopped", "parked"]
Order = Literal["start", "stop"]

LIVE: tuple[Phase, ...] = ("starting", "ready", "backing_off")
"""Phases in which the service is to be up."""


@dataclass(frozen=True, slots=True)
class Supervised:
    """What a supervisor is told of its service: ServiceSpec, as far as it is a supervisor's business."""

    service: str
    command: tuple[str, ...]
    working_directory: str | None
    environment: dict[str, str]
    log: str
    """The file that the output goes into; older parts are beside it."""
    notify: Notify
    start_timeout: float
    stop_timeout: float
    kill_children: bool
    start_at_boot: bool
    keeps_own_ledger: bool
    restart: RestartPolicy

    @classmethod
    def of(cls, spec: ServiceSpec, *, log: Path, notify: Notify) -> Supervised:
        """Of `spec`, with its output in `log`; `notify` is how this system tells of readiness."""
        return cls(
            service=spec.name,
            command=tuple(map(os.fspath, spec.command)),
            working_directory=os.fspath(spec.working_directory) if spec.working_directory else None,
            environment=dict(spec.environment),
            log=os.fspath(log),
            notify=notify if spec.notify else "none",
            start_timeout=spec.start_timeout,
            stop_timeout=spec.stop_timeout,
            kill_children=spec.kill_children,
            start_at_boot=spec.start_at_boot,
            keeps_own_ledger=spec.keeps_own_ledger,
            restart=spec.restart,
        )

    def encode(self) -> str:
        """As JSON over several lines; what is not Unicode in a path or value is kept as an escape."""
        return json.dumps({"version": _VERSION, **dataclasses.asdict(self)}, indent=2) + "\n"

    @classmethod
    def load(cls, path: Path) -> Supervised:
        """Raises `ServiceError` for a file that is not there or not such a specification."""
        try:
            found = json.loads(_read(path))
            if found["version"] != _VERSION:
                raise ValueError(f"its version is {found['version']!r}, and this one reads {_VERSION}")
            policy = {key: _as_tuple(value) for key, value in found["restart"].items()}
            values = {one.name: found[one.name] for one in dataclasses.fields(cls)}
            values |= {"restart": RestartPolicy(**policy), "command": tuple(found["command"])}
            return cls(**values)
        except OSError as error:
            raise ServiceError(f"cannot read {path}: {error.strerror}") from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ServiceError(f"{path} is no service's specification ({error}); install it again") from error


@dataclass(slots=True)
class State:
    """What a supervisor last reported. Written by it alone; times are seconds since the epoch."""

    phase: Phase = "stopped"
    supervisor: Process | None = None
    child: Process | None = None
    since: float = field(default_factory=time.time)
    ready_since: float | None = None
    exit_code: int | None = None
    exit_signal: str | None = None
    restarts: int = 0
    """Ends that nobody asked for, since the last start that somebody did ask for."""
    unclean: list[float] = field(default_factory=list)
    """When the last of them were, on the monotonic clock of the boot in `boot`."""
    boot: str = ""
    reason: str = ""
    """Why it is parked, or what it waits for."""
    start_by: float = 0.0
    """The program asked for time to get ready until then, on the monotonic clock."""
    launched: bool = False
    """The child may have run: until then it is a launcher, and its end is no end of the service."""
    quiet_until: float = 0.0
    """On the monotonic clock: it was stopped by an order, and an init that comes late is not to start it."""
    notify_directory: str | None = None
    version: int = _VERSION

    @property
    def child_alive(self) -> bool:
        return self.child is not None and self.child.alive()

    @property
    def supervisor_alive(self) -> bool:
        return self.supervisor is not None and self.supervisor.alive()

    def save(self, directory: Path, *, durable: bool = False) -> None:
        """Replace the state file in one step; OSError. `durable`: it is to survive a power cut, too."""
        replace_file(directory / STATE, json.dumps(dataclasses.asdict(self)), durable=durable)

    @classmethod
    def load(cls, directory: Path) -> State | None:
        """None where there is none, or nothing readable. Raises PermissionError."""
        try:
            found: dict[str, Any] = json.loads(_read(directory / STATE))
            values = {one.name: found[one.name] for one in dataclasses.fields(cls) if one.name in found}
            for key in ("supervisor", "child"):
                values[key] = Process(*found[key]) if found.get(key) else None
            return cls(**values)
        except PermissionError:
            raise
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None


def write_order(directory: Path, order: Order) -> None:
    """Leave word for the next supervisor that begins: start as asked, or end what is left. OSError."""
    replace_file(directory / ORDER, order)


def read_order(directory: Path) -> Order | None:
    """The order, or None. It is removed (`forget`) only when what it led to is on record."""
    try:
        text = _read(directory / ORDER)
    except OSError:
        return None
    return "start" if text == "start" else "stop" if text == "stop" else None


def write_hold(directory: Path) -> None:
    """Keep the supervisor that the init begins now, because of an installation, from starting. OSError."""
    replace_file(directory / HOLD, json.dumps([boot_id(), time.monotonic()]))


def read_hold(directory: Path) -> bool:
    """Whether there is a hold, and of just now."""
    try:
        boot, at = json.loads(_read(directory / HOLD))
        return bool(boot == boot_id() and 0 <= time.monotonic() - at < _HOLD_LASTS)
    except (OSError, ValueError, TypeError):
        return False


def forget(directory: Path) -> None:
    """Remove order and hold: they have been carried out."""
    for name in (ORDER, HOLD):
        with contextlib.suppress(OSError):
            (directory / name).unlink()


def replace_file(path: Path, text: str, *, mode: int = 0o600, durable: bool = False) -> None:
    """Write a small file in one step; OSError."""
    temporary = path.with_name(f".{path.name}.new")
    # Made anew: root may write in another user's directory, where a link may be planted.
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | CLOEXEC | NOFOLLOW | BINARY, mode)
    with os.fdopen(descriptor, "wb") as file:
        _give_to_owner(descriptor, path.parent)
        file.write(text.encode(errors="surrogateescape"))
        if durable:
            file.flush()
            os.fsync(descriptor)
    replace_patiently(temporary, path)


def _give_to_owner(descriptor: int, directory: Path) -> None:
    """What root writes in another user's directory is for that user to read."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return
    owner = directory.stat()
    if owner.st_uid != 0:
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def replace_patiently(source: Path, target: Path) -> None:
    """Rename over a file that a reader may have open: Windows refuses that for as long as it is open."""
    deadline = time.monotonic() + 1.0
    while True:
        try:
            source.replace(target)
        except PermissionError:
            if os.name == "posix" or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_MAX_FILE).decode(errors="surrogateescape")


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
