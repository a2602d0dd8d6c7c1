"""The Windows backend: a scheduled task for each service, and Hermes' supervisor as what it runs.

Where the Task Scheduler refuses a task, a command file in the user's Startup folder stands in for it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from .errors import ConflictingInstallError, ServiceError, UnsupportedSpecError
from .installed import remove_files, signed, write_files
from .launchd import check_values
from .names import SERVICE_PREFIX
from .schtasks import AccessDeniedError, Schtasks
from .supervised import SupervisedServices, check_name, home_path, interpreter
from .supervisor_files import SPEC
from .types import RenderedFile, ServiceManagerKind, ServiceSpec, ServiceStatus
from .windows_task import startup_file, task_xml

_TASK = "task.xml"
"""The task as it was last given to schtasks: what a dry run compares with."""

_SCHEDULER = "scheduled task"
_STARTUP = "Startup folder"


class WindowsServiceManager(SupervisedServices):
    """Scheduled tasks of one user, LIMITED, at that user's logon.

    The paths are Windows' own unless given; `schtasks` is a program's name or path, `user` is
    `DOMAIN\\name`, `code_page` what schtasks writes in.
    """

    kind: ServiceManagerKind = "windows"

    def __init__(
        self,
        *,
        schtasks: str = "schtasks",
        local_data: Path | None = None,
        startup: Path | None = None,
        user: str | None = None,
        python: str | None = None,
        code_page: str | None = None,
    ) -> None:
        data = local_data or home_path("LOCALAPPDATA", lambda: Path.home() / "AppData/Local")
        roaming = home_path("APPDATA", lambda: Path.home() / "AppData/Roaming")
        self._startup = startup or roaming / "Microsoft/Windows/Start Menu/Programs/Startup"
        self._user = user or _own_name()
        super().__init__(
            state_root=data / "Hermes/services",
            log_root=data / "Hermes/logs",
            notify="file",
            python=python or _windowless(interpreter()),
        )
        self._schtasks = Schtasks(schtasks, code_page)

    def task(self, name: str) -> str:
        """`Hermes_Gateway[_<profile>]`, or `Hermes_<name>` of any other service."""
        check_name(name)
        if not name.startswith(SERVICE_PREFIX):
            return f"Hermes_{name}"
        profile = name.removeprefix(SERVICE_PREFIX)
        return "Hermes_Gateway" if profile == "default" else f"Hermes_Gateway_{profile}"

    def startup_path(self, name: str) -> Path:
        return self._startup / f"{self.task(name)}.cmd"

    def render(self, spec: ServiceSpec) -> list[RenderedFile]:
        self._check(spec)
        found = [self._specification(spec)]
        if self.startup_path(spec.name).exists() and not self._schtasks.exists(
            spec.name, self.task(spec.name)
        ):
            return [*found, self._startup_file(spec)] if spec.start_at_boot else found
        return [*found, self._definition(spec)]

    # Installation

    def install(self, spec: ServiceSpec, *, force: bool = False) -> None:
        name = spec.name
        self._check(spec)
        with self._lock(name, "install", 60.0):
            self._make_directory(name)
            definition = self._definition(spec)
            write_files(name, [self._specification(spec), definition], force=force)
            try:
                self._schtasks.create(name, self.task(name), definition.content)
            except AccessDeniedError:
                # A logon of the user's own starts what lies there, without anybody's permission.
                write_files(name, [self._startup_file(spec)], force=force)
                remove_files([definition.path])
            else:
                remove_files([self.startup_path(name)])

    def uninstall(self, name: str) -> None:
        task, directory = self.task(name), self.directory(name)
        with self._lock(name, "uninstall", 60.0):
            there = self._schtasks.exists(name, task)
            if not (there or directory.exists() or self.startup_path(name).exists()):
                return
            if (directory / SPEC).exists():
                self._stop(name, self._load(name))
            if there:
                self._schtasks.delete(name, task)
            remove_files([self.startup_path(name)])
            self._remove_directory(name)

    # What the verbs rest on

    def status_all(self, names: Iterable[str] | None = None) -> dict[str, ServiceStatus]:
        asked = list(self._gateways() if names is None else names)
        if len(asked) < 2:
            return super().status_all(asked)
        try:
            tasks = self._schtasks.names()
        except ServiceError as error:
            return {name: ServiceStatus(name, True, answering=False, detail=str(error)) for name in asked}
        found = {}
        for name in asked:
            try:
                where = self._where(name, self.task(name).casefold() in tasks)
            except ServiceError as error:
                found[name] = ServiceStatus(name, True, answering=False, detail=str(error))
            else:
                found[name] = self._status(name, where)
        return found

    def _registered(self, name: str) -> str | None:
        return self._where(name, self._schtasks.exists(name, self.task(name)))

    def _where(self, name: str, scheduled: bool) -> str | None:
        startup = self.startup_path(name)
        if not scheduled:
            return _STARTUP if startup.exists() or self._stands_alone(name) else None
        if startup.exists():
            raise ConflictingInstallError(name, [f"the task {self.task(name)}", os.fspath(startup)])
        return _SCHEDULER

    def _stands_alone(self, name: str) -> bool:
        """Installed with neither: the Task Scheduler refused it, and it is not to start at a logon."""
        directory = self.directory(name)
        if not (directory / SPEC).exists() or (directory / _TASK).exists():
            return False
        with contextlib.suppress(ServiceError):
            return not self._load(name).start_at_boot
        return False

    def _launch(self, name: str) -> None:
        if self._registered(name) == _SCHEDULER:
            self._schtasks.run(name, self.task(name))
            return
        try:
            _begin_detached(self._supervisor_command(name), self.directory(name))
        except OSError as error:
            raise ServiceError(f"cannot start the supervisor of {name}: {error.strerror}") from error

    def _halt(self, name: str) -> None:
        if self._registered(name) == _SCHEDULER:
            self._schtasks.end(name, self.task(name))

    def _note(self, name: str, where: str) -> str:
        if where != _STARTUP:
            return ""
        return "the Task Scheduler refused it, so nothing restarts its supervisor before the next logon"

    def _why_absent(self, name: str) -> str:
        return "its task does not begin; is the user logged on?"

    def _check(self, spec: ServiceSpec) -> None:
        check_name(spec.name)
        if spec.user is not None:
            reason = "a task runs as the user who installs it: another's would need their password"
            raise UnsupportedSpecError(spec.name, "user", reason)
        check_values(spec)
        folded = [key.casefold() for key in spec.environment]
        if len(set(folded)) < len(folded):
            raise UnsupportedSpecError(spec.name, "environment", "Windows does not tell upper and lower case")

    def _definition(self, spec: ServiceSpec) -> RenderedFile:
        directory = self.directory(spec.name)
        text = task_xml(
            name=self.task(spec.name),
            description=spec.description or spec.name,
            command=self._supervisor_command(spec.name),
            user=self._user,
            directory=os.fspath(directory),
            at_logon=spec.start_at_boot,
        )
        for letter in text:
            if letter < " " and letter not in "\t\n":
                raise UnsupportedSpecError(spec.name, "description", f"XML has no character {letter!r}")
        return RenderedFile(directory / _TASK, signed(text, "xml"), 0o600)

    def _startup_file(self, spec: ServiceSpec) -> RenderedFile:
        if not spec.start_at_boot:
            return RenderedFile(self.directory(spec.name) / "no-logon", signed("# not at a logon\n"), 0o600)
        text = startup_file(self._supervisor_command(spec.name))
        return RenderedFile(self.startup_path(spec.name), signed(text, "rem"), 0o644)


def _begin_detached(command: list[str], directory: Path) -> None:
    """Begin the supervisor so that it outlives this command and its console; OSError."""
    streams = subprocess.DEVNULL
    if sys.platform == "win32":
        flags = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
        for breakaway in (subprocess.CREATE_BREAKAWAY_FROM_JOB, 0):
            try:
                subprocess.Popen(
                    command,
                    cwd=directory,
                    stdin=streams,
                    stdout=streams,
                    stderr=streams,
                    creationflags=flags | breakaway,
                )
            except PermissionError:  # a job that lets nothing go
                if not breakaway:
                    raise
            else:
                return
        return
    # By way of a shell that ends at once, so that init adopts and reaps it, and this process need not.
    subprocess.run(
        ["/bin/sh", "-c", '"$@" &', "sh", *command],
        cwd=directory,
        stdin=streams,
        stdout=streams,
        stderr=streams,
        start_new_session=True,
        check=True,
    )


def _windowless(python: str) -> str:
    """pythonw.exe beside python.exe: a task of a console program opens a window at each logon."""
    path = Path(python)
    candidate = path.with_name("pythonw.exe")
    return os.fspath(candidate) if path.name.casefold() == "python.exe" and candidate.exists() else python


def _own_name() -> str:
    domain, name = os.environ.get("USERDOMAIN"), os.environ.get("USERNAME")
    if name:
        return f"{domain}\\{name}" if domain else name
    import getpass

    return getpass.getuser()
