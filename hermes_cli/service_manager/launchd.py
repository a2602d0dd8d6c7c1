"""The launchd backend: a property list for each service, and Hermes' supervisor as the job in it.

launchd has no back-off, no restart limit and no readiness; the supervisor underneath has them.
"""

from __future__ import annotations

import math
import os
import sys
import time
from pathlib import Path
from typing import Any, Literal

from .errors import ConflictingInstallError, PermissionDeniedError, ServiceError, UnsupportedSpecError
from .installed import remove_files, signed, write_files
from .launchctl import Launchctl
from .names import SERVICE_PREFIX
from .supervised import SUPERVISOR_COMES, SupervisedServices, check_name, interpreter
from .supervisor_files import HOLD, SPEC, State, replace_file, write_hold
from .types import RenderedFile, ServiceManagerKind, ServiceSpec

Level = Literal["user", "system"]

_PREFIX = "ai.hermes."
_RELOAD = "reload"
"""There while launchd has an older property list than the disk, because the service was not to be stopped."""
_ERRORS = "supervisor.err"
_MAX_ERRORS = 1 << 16
_EXIT_GRACE = 10
"""Seconds beyond the stop timeout that launchd waits before it kills the supervisor."""


class LaunchdServiceManager(SupervisedServices):
    """Services in launchd: agents of one user, or daemons of the whole system.

    `level` is the system's for root, else the user's. The paths are macOS' own unless given; `launchctl`
    is a program's name or path, `uid` whose domain it is.
    """

    kind: ServiceManagerKind = "launchd"

    def __init__(
        self,
        *,
        level: Level | None = None,
        launchctl: str = "launchctl",
        root: Path = Path("/"),
        home: Path | None = None,
        uid: int | None = None,
        python: str | None = None,
    ) -> None:
        self._uid = _own_uid() if uid is None else uid
        self.level: Level = level or ("system" if self._uid == 0 else "user")
        home = home or Path.home()
        self._plists: dict[Level, Path] = {
            "user": home / "Library/LaunchAgents",
            "system": root / "Library/LaunchDaemons",
        }
        library = home / "Library" if self.level == "user" else root / "Library"
        super().__init__(
            state_root=library / "Application Support/Hermes/services",
            log_root=library / "Logs/Hermes",
            notify="descriptor",
            python=python or interpreter(),
        )
        self._launchctl = Launchctl(launchctl)

    # Names and places

    def label(self, name: str) -> str:
        """`ai.hermes.gateway[-<profile>]`, or `ai.hermes.<name>` of any other service."""
        check_name(name)
        return _PREFIX + ("gateway" if name == f"{SERVICE_PREFIX}default" else name)

    def plist(self, name: str) -> Path:
        return self._plists[self.level] / f"{self.label(name)}.plist"

    def render(self, spec: ServiceSpec) -> list[RenderedFile]:
        self._check(spec)
        return [
            self._specification(spec),
            RenderedFile(self.plist(spec.name), self._render_plist(spec, self._domain()), 0o644),
        ]

    # Installation

    def install(self, spec: ServiceSpec, *, force: bool = False) -> None:
        name = spec.name
        self._check(spec)
        self._allowed(name, "install")
        with self._lock(name, "install", 60.0):
            where = self._loaded_in(name, "install")
            domain = where or self._domain()
            plist = RenderedFile(self.plist(name), self._render_plist(spec, domain), 0o644)
            directory = self._make_directory(name)
            changed = write_files(name, [self._specification(spec), plist], force=force)
            self._hand_over(spec, directory)
            if plist.path in changed and where is not None:
                replace_file(directory / _RELOAD, "")
            if where is not None and (directory / _RELOAD).exists():
                state = State.load(directory)
                if state is not None and state.supervisor_alive:
                    return  # the next start or stop loads it anew; an installation stops nothing
                self._launchctl.bootout(name, f"{where}/{self.label(name)}")
                where = None
            if where is None:
                self._load_without_start(name, domain, directory)

    def uninstall(self, name: str) -> None:
        check_name(name)
        label, directory = self.label(name), self.directory(name)
        with self._lock(name, "uninstall", 60.0):
            there = self.plist(name).exists() or directory.exists()
            domains = [domain for domain in self._domains() if self._loaded(name, domain)]
            if not there and not domains:
                return
            self._allowed(name, "uninstall")
            if (directory / SPEC).exists():
                self._stop(name, self._load(name))
            for domain in domains:
                self._launchctl.bootout(name, f"{domain}/{label}")
            remove_files([self.plist(name)])
            self._remove_directory(name)

    def _load_without_start(self, name: str, domain: str, directory: Path) -> None:
        """Load the property list; the supervisor that launchd then begins ends at once.

        KeepAlive with SuccessfulExit runs a job when it is loaded, whatever RunAtLoad says
        (launchd.plist(5)), and at a login it must. An installation leaves what a login does not: the hold.
        """
        hold = directory / HOLD
        try:
            write_hold(directory)
        except OSError as error:
            raise ServiceError(f"cannot write {hold}: {error.strerror}") from error
        try:
            self._launchctl.bootstrap(name, domain, self.label(name), os.fspath(self.plist(name)))
            (directory / _RELOAD).unlink(missing_ok=True)
            deadline = time.monotonic() + SUPERVISOR_COMES
            while hold.exists() and time.monotonic() < deadline:
                self._wait(directory, 0.05)
        finally:
            hold.unlink(missing_ok=True)

    def _hand_over(self, spec: ServiceSpec, directory: Path) -> None:
        """Give the directory to whom the service runs as: its supervisor does, and writes there."""
        if spec.user is None or self._uid != 0 or sys.platform == "win32":
            return
        import pwd

        try:
            entry = pwd.getpwnam(spec.user)
        except KeyError as error:
            raise UnsupportedSpecError(spec.name, "user", f"there is no user {spec.user!r}") from error
        for path in (directory / SPEC, directory):
            os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)

    # What the verbs rest on

    def _registered(self, name: str) -> str | None:
        levels: tuple[Level, ...] = ("user", "system")
        installed = [level for level in levels if self._path_at(name, level).exists()]
        if self.level not in installed:
            return None
        if len(installed) > 1:
            raise ConflictingInstallError(name, [os.fspath(self._path_at(name, one)) for one in installed])
        return "LaunchAgent" if self.level == "user" else "LaunchDaemon"

    def _launch(self, name: str) -> None:
        self._allowed(name, "start")
        label, directory = self.label(name), self.directory(name)
        domain = self._loaded_in(name, "start")
        if domain is not None and (directory / _RELOAD).exists():
            self._launchctl.bootout(name, f"{domain}/{label}")
            domain = None
        self._shorten_errors(directory)
        if domain is None or not self._launchctl.kickstart(name, f"{domain}/{label}"):
            # Loading runs it, and what the supervisor then finds is the order that was written before.
            self._launchctl.bootstrap(name, domain or self._domain(), label, os.fspath(self.plist(name)))
            (directory / _RELOAD).unlink(missing_ok=True)

    def _halt(self, name: str) -> None:
        self._allowed(name, "stop")
        for domain in self._domains():
            self._launchctl.bootout(name, f"{domain}/{self.label(name)}")

    def _why_absent(self, name: str) -> str:
        try:
            text = (self.directory(name) / _ERRORS).read_text("utf-8", "replace").strip()
        except OSError:
            text = ""
        if text:
            return f"its supervisor ended with {text.splitlines()[-1][:300]!r}"
        return "launchd does not begin its supervisor; 'launchctl print' of it says why"

    def _domain(self) -> str:
        """Where a service goes: the login session at the screen if there is one, else the user's own."""
        if self.level == "system":
            return "system"
        gui = f"gui/{self._uid}"
        return gui if self._launchctl.domain_exists(gui) else f"user/{self._uid}"

    def _domains(self) -> list[str]:
        return ["system"] if self.level == "system" else [f"gui/{self._uid}", f"user/{self._uid}"]

    def _loaded(self, name: str, domain: str) -> bool:
        return self._launchctl.loaded(name, f"{domain}/{self.label(name)}") is not None

    def _loaded_in(self, name: str, action: str) -> str | None:
        """The one domain that has the label; `ConflictingInstallError` where two do."""
        candidates = dict.fromkeys([*self._domains(), "system"])
        domains = [domain for domain in candidates if self._loaded(name, domain)]
        other: Level = "user" if self.level == "system" else "system"
        foreign = [domain for domain in domains if domain not in self._domains()]
        if foreign or self._path_at(name, other).exists():
            places = domains if len(domains) > 1 else [*domains, os.fspath(self._path_at(name, other))]
            raise ConflictingInstallError(name, [*places, *([] if len(places) > 1 else [f"this {action}"])])
        if len(domains) > 1:
            raise ConflictingInstallError(name, domains)
        return domains[0] if domains else None

    def _path_at(self, name: str, level: Level) -> Path:
        return self._plists[level] / f"{self.label(name)}.plist"

    def _allowed(self, name: str, action: str) -> None:
        if self.level == "system" and self._uid != 0:
            raise PermissionDeniedError(name, action, "a service of the whole system is root's: use sudo")

    def _check(self, spec: ServiceSpec) -> None:
        check_name(spec.name)
        if self.level == "user" and spec.user is not None:
            reason = "a user's launchd runs everything as that user; install it for the whole system"
            raise UnsupportedSpecError(spec.name, "user", reason)
        check_values(spec)

    def _render_plist(self, spec: ServiceSpec, domain: str) -> str:
        import plistlib

        directory = self.directory(spec.name)
        job: dict[str, Any] = {
            "Label": self.label(spec.name),
            "ProgramArguments": self._supervisor_command(spec.name),
            "RunAtLoad": spec.start_at_boot,
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": 1,
            "ExitTimeOut": math.ceil(spec.stop_timeout) + _EXIT_GRACE,
            # What the service started lives on; the supervisor ends what it is to end.
            "AbandonProcessGroup": True,
            "StandardOutPath": os.fspath(directory / _ERRORS),
            "StandardErrorPath": os.fspath(directory / _ERRORS),
        }
        if domain.startswith("user/"):
            # Without a session at the screen an agent is loaded only if it says that it needs none.
            job["LimitLoadToSessionType"] = "Background"
        if spec.user is not None:
            job["UserName"] = spec.user
        text = plistlib.dumps(job, sort_keys=False).decode()
        return _signed_in_prologue(text)

    @staticmethod
    def _shorten_errors(directory: Path) -> None:
        """launchd appends what an interpreter says that cannot even begin, without end."""
        path = directory / _ERRORS
        try:
            if directory.stat().st_uid != _own_uid():
                return  # another user's: root touches nothing there by its name
            if path.stat().st_size > _MAX_ERRORS:
                os.truncate(path, 0)
        except OSError:
            return


def check_values(spec: ServiceSpec) -> None:
    """Raise `UnsupportedSpecError` for what no process can be given."""
    if not spec.command or not Path(spec.command[0]).is_absolute():
        raise UnsupportedSpecError(spec.name, "command", "it begins with an absolute path to a program")
    for word in spec.command:
        if "\0" in word:
            raise UnsupportedSpecError(spec.name, "command", "no argument can hold a NUL")
    for key, value in spec.environment.items():
        if not key or "=" in key or "\0" in key or "\0" in value:
            raise UnsupportedSpecError(spec.name, "environment", f"{key!r} is no variable that can be set")


def _signed_in_prologue(text: str) -> str:
    """`signed`, with the line before the root element: a comment behind it is more than some readers take."""
    whole = signed(text, "xml")
    body, signature = whole[: len(text)], whole[len(text) :]
    head, separator, rest = body.partition("<plist")
    return f"{head}{signature}{separator}{rest}"


def _own_uid() -> int:
    return os.geteuid() if hasattr(os, "geteuid") else -1
