"""The systemd backend: services as units of a user's systemd or of the whole system's, each verb verified."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from . import spawn
from .errors import (
    ConflictingInstallError,
    GatewayNotRegisteredError,
    HostCommandError,
    PermissionDeniedError,
    ServiceError,
    ServiceMaskedError,
    ServiceParkedError,
    ServiceTimeoutError,
    UnsupportedSpecError,
)
from .installed import remove_files, write_files
from .locks import verb_lock
from .logs import LogReader
from .names import SERVICE_PREFIX
from .systemctl import Level, Systemctl
from .systemd_layout import Installation, Layout, service_of
from .systemd_logs import open_unit_log, unit_log
from .systemd_status import PROPERTIES, UnitState, parse_show, read_note, to_status
from .systemd_unit import render
from .types import RenderedFile, ServiceManagerKind, ServiceSpec, ServiceStatus

_GRACE = 5.0
"""Seconds beyond a unit's own timeout: for the reaping, and for systemd to say so."""

_LONGEST = 86400.0
"""Seconds that stand for a timeout of "infinity", which only an edit by hand makes: every wait has an end."""

_LOCK_WITHIN = 90.0
"""Seconds for another command on the same service to be through."""

_NEWEST = 257
"""The systemd to render for where none is installed that says its version."""


class SystemdServiceManager:
    """The services of one level: "user", of the user whose process this is, or "system".

    `layout` says where the files go; by default where systemd looks for them. `version` is the
    systemd to render for; by default the one that runs here.
    """

    def __init__(
        self,
        level: Level = "user",
        *,
        layout: Layout | None = None,
        lock_dir: Path | None = None,
        version: int | None = None,
    ) -> None:
        self._level = level
        self._layout = layout or Layout.of(level)
        self._lock_dir = lock_dir
        self._version = version
        self._systemctl = Systemctl(level)

    @property
    def kind(self) -> ServiceManagerKind:
        return "systemd"

    @property
    def level(self) -> Level:
        return self._level

    def start(self, name: str) -> None:
        """Return when the service is ready. Parked before or not, its count of crashes begins anew.

        Raises `ServiceParkedError` as soon as it is parked again, `ServiceTimeoutError` when it is
        not ready within its start timeout; systemd goes on trying then.
        """
        files = self._files(name)
        with self._lock(name, "start"):
            before = self._registered(files, "start")
            if not before.up:
                self._bring_up(files, "start", before)

    def stop(self, name: str) -> None:
        """Return when the service is down: not parked either, and not about to be started again."""
        files = self._files(name)
        with self._lock(name, "stop"):
            self._bring_down(files, "stop", self._registered(files, "stop"))

    def restart(self, name: str) -> None:
        """Return when the service is ready with a new pid. A stopped or parked one is started."""
        files = self._files(name)
        with self._lock(name, "restart"):
            before = self._registered(files, "restart")
            after = self._bring_up(files, "restart", before)
            if after.pid is not None and after.pid == before.pid:
                raise ServiceError(f"{name} has pid {after.pid} as before: it was not restarted; try again")

    def is_running(self, name: str) -> bool:
        return self.status(name).running

    def status(self, name: str) -> ServiceStatus:
        """What systemd says of the service. One that is not installed at this level has `registered` False.

        Raises `NoBusError` where systemd cannot be asked; `status_all` puts that in words.
        """
        files = self._files(name)
        return self._told(files, self._look([files], "see the status of")[0])

    def status_all(self, names: Iterable[str] | None = None) -> dict[str, ServiceStatus]:
        """The status of many services by one systemctl, in order; of all gateways if `names` is None."""
        installations = [self._files(name) for name in (self._gateways() if names is None else names)]
        try:
            states = self._look(installations, "see the status of")
        except ServiceError as error:
            return {
                files.name: ServiceStatus(files.name, registered=True, answering=False, detail=str(error))
                if os.path.lexists(files.path)
                else ServiceStatus(files.name, registered=False)
                for files in installations
            }
        return {
            files.name: self._told(files, state) for files, state in zip(installations, states, strict=True)
        }

    def logs(self, name: str, *, lines: int = 100, follow: bool = False) -> Iterator[str]:
        """Yield the last `lines` lines of the service, oldest first; with `follow`, go on until closed.

        From the journal, or from the specification's own file. Raises at once, not at the first line:
        `PermissionDeniedError` where this user may not read them.
        """
        files = self._files(name)
        if not os.path.lexists(files.path):
            raise self._not_registered(files)
        return unit_log(files, self._systemctl, lines, follow=follow)

    def open_log(
        self, name: str, *, lines: int | None = 100, since: float = 0.0, cursor: str | None = None
    ) -> LogReader:
        """The reader of the log; see `KeepsLogs`."""
        files = self._files(name)
        if not os.path.lexists(files.path):
            raise self._not_registered(files)
        return open_unit_log(files, self._systemctl, lines, since, cursor)

    def install(self, spec: ServiceSpec, *, force: bool = False) -> None:
        """Write the units of `spec`, make systemd read them, and enable it for boot if it asks for that.

        A service that runs goes on as it was started; a restart brings the new specification.
        """
        rendered = self.render(spec)
        files = self._files(spec.name)
        self._may_write(spec.name, "install")
        if spec.user is not None and not _is_user(spec.user):
            raise UnsupportedSpecError(spec.name, "user", f"there is no user {spec.user} here")
        with self._lock(spec.name, "install"):
            self._not_elsewhere(files, self._look([files], "install")[0], "install")
            written = {file.path for file in rendered}
            if spec.stdout is not None:
                _make_directory(spec.name, spec.stdout.parent, 0o755)
            _make_directory(spec.name, files.marker.parent, 0o755)
            write_files(spec.name, rendered, force=force)
            if not spec.start_at_boot:
                self._disable(files)
            remove_files(path for path in files.paths if path not in written)
            self._systemctl.do(spec.name, "install", "daemon-reload")
            if spec.start_at_boot:
                self._systemctl.do(spec.name, "install", "--no-reload", "enable", files.boot_unit)
            self._is_read(files)

    def uninstall(self, name: str) -> None:
        """Stop the service and make systemd forget it. Missing is fine."""
        files = self._files(name)
        left = [*files.paths, files.boot_link, files.marker]
        if not any(os.path.lexists(path) for path in left):
            with contextlib.suppress(ServiceError):
                state = self._look([files], "uninstall")[0]
                if state.load == "not-found" and state.at_rest:
                    return
        self._may_write(name, "uninstall")
        with self._lock(name, "uninstall"):
            state = self._look([files], "uninstall")[0]
            if state.load != "not-found" or not state.at_rest:
                self._bring_down(files, "uninstall", state)
            self._disable(files)
            # The unit that makes it a service goes last: until then a second run finds it.
            masked = files.path.is_symlink() and os.fspath(files.path.readlink()) == os.devnull
            remove_files([path for path in reversed(files.paths) if not (masked and path == files.path)])
            remove_files([files.marker])
            self._systemctl.do(name, "uninstall", "daemon-reload")
            self._systemctl.run("reset-failed", files.unit, files.parked_unit, files.boot_unit)

    def render(self, spec: ServiceSpec) -> list[RenderedFile]:
        """The units, and the environment's file if there is one. Raises `UnsupportedSpecError`."""
        if self._version is None:
            self._version = self._systemctl.version() or _NEWEST
        return render(spec, self._layout, self._version)

    def supports_runtime_registration(self) -> bool:
        return False

    def register_profile_gateway(
        self, profile: str, *, extra_env: dict[str, str] | None = None, start_now: bool = False
    ) -> None:
        raise NotImplementedError("a gateway is installed on systemd, not registered: use install")

    def unregister_profile_gateway(self, profile: str) -> None:
        raise NotImplementedError("a gateway is uninstalled from systemd, not unregistered: use uninstall")

    def list_profile_gateways(self) -> list[str]:
        """None: nothing is registered at run time on a host."""
        return []

    def _files(self, name: str) -> Installation:
        files = Installation(name, self._layout)
        _ = files.unit  # raises for a name that none can have
        return files

    def _gateways(self) -> list[str]:
        """The gateways that are installed at this level, sorted."""
        try:
            with os.scandir(self._layout.unit_dir) as entries:
                return sorted(name for name in map(service_of, (entry.name for entry in entries)) if name)
        except OSError:
            return []

    def _lock(self, name: str, action: str) -> AbstractContextManager[None]:
        return verb_lock(self._lock_directory(name, action), name, action, _LOCK_WITHIN)

    def _lock_directory(self, name: str, action: str) -> Path:
        if self._lock_dir is not None:
            return self._lock_dir
        if self._level == "system":
            return Path("/run/hermes-services/locks")
        runtime = self._systemctl.runtime_directory()
        if runtime is not None:
            return runtime / "hermes-locks"
        # Most likely no systemd runs for this user either, which is what is to be told of.
        self._systemctl.do(name, action, "show", "-p", "Version")
        return self._layout.state_dir / "locks"

    def _look(self, installations: list[Installation], action: str) -> list[UnitState]:
        if not installations:
            return []
        units = [files.unit for files in installations]
        name = installations[0].name
        text = self._systemctl.do(name, action, "show", "-p", PROPERTIES, "--", *units)
        try:
            states = parse_show(text)
        except ValueError as error:
            raise HostCommandError(name, action, "systemctl", 0, str(error)) from error
        if len(states) != len(units):
            raise HostCommandError(
                name, action, "systemctl", 0, f"{len(units)} units asked for, {len(states)} told"
            )
        return states

    def _registered(self, files: Installation, action: str) -> UnitState:
        """How it is now; raises if it is not installed here, or cannot be what the verb means."""
        state = self._look([files], action)[0]
        if state.load == "not-found" and state.at_rest:
            raise self._not_registered(files)
        if action != "stop":
            self._not_elsewhere(files, state, action)
        return state

    def _not_registered(self, files: Installation) -> GatewayNotRegisteredError:
        level = " --system" if self._level == "system" else ""
        remedy = f"no unit {files.unit} at the {self._level} level"
        if files.name.startswith(SERVICE_PREFIX):
            profile = files.name.removeprefix(SERVICE_PREFIX)
            hermes = "hermes" if profile == "default" else f"hermes -p {profile}"
            remedy += f"; '{hermes} gateway install{level}' makes it"
        return GatewayNotRegisteredError(files.name.removeprefix(SERVICE_PREFIX), files.name, remedy)

    def _not_elsewhere(self, files: Installation, state: UnitState, action: str) -> None:
        if state.load == "masked":
            raise ServiceMaskedError(files.name, state.fragment or os.fspath(files.path))
        if state.fragment and Path(state.fragment) != files.path and action == "install":
            raise ConflictingInstallError(files.name, [state.fragment, os.fspath(files.path)])
        other = [path for path in self._other_levels(files) if os.path.lexists(path)]
        if other:
            raise ConflictingInstallError(files.name, [os.fspath(other[0]), os.fspath(files.path)])

    def _other_levels(self, files: Installation) -> list[Path]:
        """Where the same unit would be at the other level: the system's, or the user's who became root."""
        if self._layout != Layout.of(self._level):
            return []
        if self._level == "user":
            return [Layout.of("system").unit_dir / files.unit]
        homes = [_home_of(user) for user in (os.environ.get("SUDO_USER"),) if user]
        return [home / ".config/systemd/user" / files.unit for home in homes if home is not None]

    def _may_write(self, name: str, action: str) -> None:
        if self._level == "system" and os.geteuid() != 0 and self._layout == Layout.of("system"):
            raise PermissionDeniedError(
                name, action, "a service of the whole system is root's: put sudo before it"
            )

    def _bring_up(self, files: Installation, verb: str, before: UnitState) -> UnitState:
        timeout = before.start_timeout + (before.stop_timeout if verb == "restart" else 0.0)
        timeout = min(timeout, _LONGEST)
        deadline = time.monotonic() + timeout
        if before.needs_reload:
            self._systemctl.do(files.name, verb, "daemon-reload")
        # Both may fail for a unit that systemd has not in memory, and then has nothing to forget.
        self._systemctl.run("reset-failed", "--", files.unit)
        # A start would wait for the time that is left until the next restart; a restart does not.
        order = "restart" if before.waiting_to_restart else verb
        while True:
            left = max(0.0, deadline - time.monotonic())
            done = self._systemctl.run(order, "--", files.unit, timeout=left + 0.5)
            problem = self._systemctl.barred(files.name, verb, done) if done.returncode else None
            if problem is not None:
                raise problem
            seen = self._look([files], verb)[0]
            if seen.up:
                return seen
            if seen.given_up:
                # Is under way already; this waits until it is noted, for a reboot may follow.
                self._systemctl.run("start", "--", files.parked_unit)
                raise ServiceParkedError(files.name, seen.why_given_up())
            if time.monotonic() >= deadline:
                raise ServiceTimeoutError(files.name, verb, timeout, seen.in_words())
            if seen.at_rest:
                if done.returncode:
                    raise self._systemctl.why(files.name, verb, done)
                raise ServiceError(f"{files.name} was stopped by another command while it started")
            # It died, and waits for its next restart. A start is done when that one is: no need to look.
            order = "start"

    def _bring_down(self, files: Installation, action: str, before: UnitState) -> None:
        timeout = min(before.stop_timeout, _LONGEST)
        # The unit that notes the parking too: nothing is noted after this.
        done = self._systemctl.run("stop", "--", files.unit, files.parked_unit, timeout=timeout + _GRACE)
        if done.returncode == spawn.TIMED_OUT:
            seen = self._look([files], action)[0]
            raise ServiceTimeoutError(files.name, action, timeout, seen.in_words())
        problem = self._systemctl.barred(files.name, action, done) if done.returncode else None
        if problem is not None:
            raise problem
        self._systemctl.run("reset-failed", "--", files.unit)
        remove_files([files.marker])
        seen = self._look([files], action)[0]
        if not seen.at_rest:
            if done.returncode:
                raise self._systemctl.why(files.name, action, done)
            raise ServiceError(f"{files.name} was started by another command while it stopped")

    def _disable(self, files: Installation) -> None:
        """As `systemctl disable` does, also where its unit is gone already."""
        remove_files([files.boot_link])

    def _is_read(self, files: Installation) -> None:
        state = self._look([files], "install")[0]
        if state.load == "masked":
            raise ServiceMaskedError(files.name, state.fragment or os.fspath(files.path))
        if state.load == "not-found":
            raise ServiceError(
                f"{files.path} is written, but systemd does not look there: XDG_CONFIG_HOME is not the same "
                "for it ('systemctl --user show -p UnitPath' says where it looks)"
            )
        if state.load != "loaded":
            raise ServiceError(
                f"systemd could not read {files.path} ({state.load}): 'systemd-analyze verify' says why"
            )

    def _told(self, files: Installation, state: UnitState) -> ServiceStatus:
        return to_status(files.name, state, read_note(files.marker) if state.at_rest else None)


def _is_user(user: str) -> bool:
    import pwd

    try:
        pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _home_of(user: str) -> Path | None:
    import pwd

    try:
        return Path(pwd.getpwnam(user).pw_dir)
    except KeyError:
        return None


def _make_directory(name: str, path: Path, mode: int) -> None:
    try:
        path.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        raise ServiceError(f"cannot make {path} for {name}: {error.strerror}") from error
