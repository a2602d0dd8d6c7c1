"""The shapes every backend shares: the protocol, a service's specification, status and restart policy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

ServiceManagerKind = Literal["systemd", "launchd", "windows", "s6", "none"]


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """When a service is started again, and when it is left down. All times in seconds.

    One policy, rendered into each init's own terms; docs/service-manager.md has the table.
    """

    first_delay: float = 0.0
    """Wait before the first restart after a crash."""
    backoff: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
    """Waits before the following ones; the last repeats."""
    max_unclean_starts: int = 5
    """So many unclean starts within `window` park the service as a crash loop."""
    window: float = 120.0
    permanent_exit_codes: tuple[int, ...] = (78,)
    """Exit codes that park at once: 78 is EX_CONFIG of sysexits.h."""

    def delay_before(self, unclean_starts: int) -> float:
        """Seconds to wait before a start that follows `unclean_starts` unclean ones in the window."""
        if unclean_starts <= 0:
            return 0.0
        if unclean_starts == 1:
            return self.first_delay
        return self.backoff[min(unclean_starts - 2, len(self.backoff) - 1)]


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """A service to install: any program on the host backends, a gateway in the container."""

    name: str
    """`gateway-<profile>`, or the name of any other program."""
    command: tuple[str, ...]
    """Program (an absolute path) and its arguments. No shell reads them."""
    description: str = ""
    working_directory: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to what the init provides. Values may hold anything but NUL."""
    stdout: Path | None = None
    """Where output goes; None leaves it to the init's own log."""
    notify: bool = True
    """The program announces its readiness (sd_notify, or a newline on $HERMES_NOTIFY_FD)."""
    start_timeout: float = 30.0
    """Seconds until ready."""
    stop_timeout: float = 30.0
    """Seconds from the request to stop until it is killed. Must exceed the program's own drain."""
    kill_children: bool = False
    """Whether stopping ends what the service started too. Background processes outlive a gateway."""
    start_at_boot: bool = True
    restart: RestartPolicy = field(default_factory=RestartPolicy)
    user: str | None = None
    """Whom a service of the whole system runs as; None is the one who installs it."""
    keeps_own_ledger: bool = False
    """The program backs off and parks by itself, as a gateway does; the init only backs it up."""


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """What the init says of a service, in one look. Times are seconds since the epoch."""

    name: str
    registered: bool
    running: bool = False
    ready: bool = False
    wanted: bool = False
    """What the init tries to reach: True for up."""
    parked: bool = False
    """Down, not because someone stopped it, but because it is not to be restarted."""
    answering: bool = True
    """False: its supervisor does not answer, or not to this user; `detail` says why."""
    pid: int | None = None
    since: float | None = None
    """When it last went up or down."""
    ready_since: float | None = None
    exit_code: int | None = None
    """How its last run ended; None while unknown or when a signal ended it."""
    exit_signal: str | None = None
    restarts: int | None = None
    """Unwanted ends since the init began to count; None where it does not count."""
    detail: str = ""
    """The init's own words, for a person."""

    def in_words(self) -> str:
        """One of: not registered, not answering, parked, down, starting, ready, stopping."""
        if not self.registered:
            return "not registered"
        if not self.answering:
            return "not answering"
        if self.running:
            if not self.wanted:
                return "stopping"
            return "ready" if self.ready else "starting"
        if self.wanted:
            return "starting"
        return "parked" if self.parked else "down"


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """A file `install` would write."""

    path: Path
    content: str
    mode: int = 0o644


@runtime_checkable
class ServiceManager(Protocol):
    """Every verb reports a verified outcome or raises `ServiceError` within its timeout.

    Starting what runs and stopping what is stopped succeed. Verbs on one service exclude each
    other by a lock; verbs on different services do not.
    """

    @property
    def kind(self) -> ServiceManagerKind: ...

    def start(self, name: str) -> None:
        """Return when the service is ready."""

    def stop(self, name: str) -> None:
        """Return when the service is down."""

    def restart(self, name: str) -> None:
        """Return when the service is ready with a new pid."""

    def is_running(self, name: str) -> bool: ...

    def status(self, name: str) -> ServiceStatus: ...

    def status_all(self, names: Iterable[str] | None = None) -> dict[str, ServiceStatus]:
        """The status of many services in one look, by name, in order; of all gateways if `names` is None.

        One that cannot be asked does not hide the others: `answering` and `detail` say so.
        """

    def logs(self, name: str, *, lines: int = 100, follow: bool = False) -> Iterator[str]:
        """Yield the last `lines` lines, oldest first, without line ends; go on with new ones if `follow`."""

    def install(self, spec: ServiceSpec, *, force: bool = False) -> None:
        """Make the service known to the init. Never starts it.

        Files written by an older version are replaced; ones changed by hand only if `force`, else
        `ServiceEditedError`. A run that was cut off is completed by the next.
        """

    def uninstall(self, name: str) -> None:
        """Stop the service and make the init forget it. Missing is fine."""

    def render(self, spec: ServiceSpec) -> list[RenderedFile]:
        """What `install` would write: for a dry run and for finding drift."""

    def supports_runtime_registration(self) -> bool: ...

    def register_profile_gateway(
        self, profile: str, *, extra_env: dict[str, str] | None = None, start_now: bool = False
    ) -> None: ...

    def unregister_profile_gateway(self, profile: str) -> None: ...

    def list_profile_gateways(self) -> list[str]:
        """Profiles with a registered gateway, sorted."""
