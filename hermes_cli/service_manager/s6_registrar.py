"""Making and removing slots: through the registrar, or with slotctl where the scandir is our own."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from .errors import InvalidNameError, PermissionDeniedError, S6CommandError, ServiceError
from .names import DEFAULT_PROFILE, service_name
from .spawn import run
from .types import RenderedFile, ServiceSpec

_TIMEOUT = 60.0
"""Seconds for slotctl: up to 30 for its lock, 10 for s6-supervise to answer or to let go."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_SLOT_FILES = ("type", "run", "finish", "notification-fd", "timeout-kill", "log/run")

_FIXED = (
    *("working_directory", "stdout", "notify", "start_timeout"),
    *("stop_timeout", "kill_children", "restart"),
)
"""What the template of all slots decides: a spec that asks for something else is refused, not half obeyed."""


class Registrar:
    """The slots of one scandir, and the environments that belong to them."""

    def __init__(self, scandir: Path, slotctl: Path, socket: Path, env_dir: Path) -> None:
        self._scandir = scandir
        self._slotctl = slotctl
        self._socket = socket
        self._env_dir = env_dir

    def register(self, profile: str) -> None:
        """Make the slot of `profile`, down. One that exists is left as it is."""
        self._order("register", profile, "down")

    def unregister(self, profile: str) -> None:
        """Remove the slot of `profile` and its environment. Missing is fine."""
        self._order("unregister", profile)
        _remove_tree(self._env_dir / service_name(profile))

    def write_environment(self, profile: str, variables: Mapping[str, str]) -> None:
        """Replace the slot's environment directory (s6-envdir format); none if `variables` is empty.

        Raises `InvalidNameError` for a name the shell could not use, `ServiceError` for a value with
        a NUL byte and for a directory that cannot be written.
        """
        files = envdir_files(variables)
        target = self._env_dir / service_name(profile)
        try:
            if files:
                self._env_dir.mkdir(parents=True, exist_ok=True)
                staging = _temporary_directory(self._env_dir)
                for name, content in files.items():
                    _write_private(staging / name, content.encode())
            if target.exists():
                old = _temporary_directory(self._env_dir)
                target.rename(old)  # an empty directory gives way
                _remove_tree(old)
            if files:
                staging.rename(target)
        except OSError as error:
            raise ServiceError(
                f"cannot write the environment of {target.name} to {self._env_dir}: {error.strerror}"
            ) from error

    def render(self, profile: str, variables: Mapping[str, str]) -> list[RenderedFile]:
        """The files of a new slot, as the template has them, with its `down` marker and its environment."""
        template = Path(os.environ.get("HERMES_SLOT_TEMPLATE") or self._slotctl.parent / "slot")
        slot = self._scandir / service_name(profile)
        rendered = []
        for name in _SLOT_FILES:
            source = template / name
            try:
                content, mode = source.read_text(), source.stat().st_mode & 0o777
            except FileNotFoundError:
                continue
            except (OSError, UnicodeDecodeError) as error:
                raise ServiceError(f"cannot read the slot template {source}: {error}") from error
            rendered.append(RenderedFile(slot / name, content, mode))
        if not rendered:
            raise ServiceError(f"there is no slot template in {template}; the installation is incomplete")
        rendered += [RenderedFile(slot / "down", ""), RenderedFile(slot / "log/down", "")]
        directory = self._env_dir / slot.name
        for name, content in envdir_files(variables).items():
            rendered.append(RenderedFile(directory / name, content, 0o600))
        return rendered

    def _order(self, verb: str, profile: str, *more: str) -> None:
        service = service_name(profile)
        if os.access(self._scandir, os.W_OK | os.X_OK):
            command = [os.fspath(self._slotctl), verb, profile, *more]
            done = run(command, timeout=_TIMEOUT, environment={"HERMES_SCANDIR": os.fspath(self._scandir)})
        elif not os.access(self._socket, os.W_OK):
            remedy = f"the registrar {self._socket} is not there for this user; run it as the user hermes"
            raise PermissionDeniedError(service, verb, remedy)
        else:
            done = run(["s6-sudo", os.fspath(self._socket), verb, profile, *more], timeout=_TIMEOUT)
        if done.stderr.startswith("s6-sudoc:"):  # connected, and was turned away before slotctl ran
            remedy = f"the registrar does not serve uid {os.geteuid()}; run it as the user hermes"
            raise PermissionDeniedError(service, verb, remedy)
        if done.returncode != 0:
            raise S6CommandError(service, verb, done.returncode, done.stderr)


def profile_of_spec(spec: ServiceSpec, profile: str) -> str:
    """`profile`, if `spec` asks for nothing that its slot could not give; `ServiceError` otherwise."""
    arguments = ("gateway", "run") if profile == DEFAULT_PROFILE else ("-p", profile, "gateway", "run")
    if not spec.command or Path(spec.command[0]).name != "hermes" or spec.command[1:] != arguments:
        raise ServiceError(f"{spec.name} can only run 'hermes {' '.join(arguments)}' here, no other command")
    plain = ServiceSpec(spec.name, spec.command)
    for field in _FIXED:
        if getattr(spec, field) != getattr(plain, field):
            raise ServiceError(f"{spec.name} cannot have its own {field} here: every slot has the same")
    return profile


def envdir_files(variables: Mapping[str, str]) -> dict[str, str]:
    """File name to content, as `s6-envdir -nL` reads it: one line, with a NUL byte for each newline."""
    files = {}
    for name, value in variables.items():
        if not _VARIABLE.fullmatch(name):
            raise InvalidNameError(name, "a variable has letters, digits and '_', no digit first")
        if "\0" in value:
            raise ServiceError(f"the value of {name} holds a NUL byte, which no environment can")
        files[name] = value.replace("\n", "\0") + "\n"
    return files


def _temporary_directory(parent: Path) -> Path:
    """A private directory there, under a name that no service can have."""
    import tempfile

    return Path(tempfile.mkdtemp(prefix=".", dir=parent))


def _write_private(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, opened without following links
        file.write(content)


def _remove_tree(path: Path) -> None:
    if path.is_symlink():
        path.unlink()
    elif path.exists():
        import shutil

        shutil.rmtree(path)
