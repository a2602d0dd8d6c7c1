"""Running schtasks: its verbs, and what its exit codes mean. Its words are in the user's language."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from .console_text import decode_console
from .errors import HostCommandError, NoBusError, PermissionDeniedError, ServiceError

_TIMEOUT = 60.0
"""Seconds: the first call after a boot waits for the service."""

_FILE_NOT_FOUND, _PATH_NOT_FOUND, _ACCESS_DENIED = 2, 3, 5
"""Win32 errors: the lower half of what /HRESULT makes the exit code. Without it every error is 1."""


class _Answer(NamedTuple):
    code: int
    output: str
    error: str

    @property
    def win32(self) -> int:
        return self.code & 0xFFFF


class AccessDeniedError(PermissionDeniedError):
    """The Task Scheduler lets this user make no tasks: a policy, or a task that another user made."""


class Schtasks:
    """schtasks, by name or path. `code_page` is what it writes in, if not the machine's own."""

    def __init__(self, program: str = "schtasks", code_page: str | None = None) -> None:
        self._program, self._code_page = program, code_page

    def create(self, service: str, task: str, definition: str) -> None:
        """Make or replace the task from its XML; `AccessDeniedError` where this user may not."""
        # schtasks reads the file as UTF-16, which is what its declaration has to say as well.
        text = f'<?xml version="1.0" encoding="UTF-16"?>\n{definition}'
        descriptor, name = tempfile.mkstemp(prefix="hermes-task-", suffix=".xml")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(text.encode("utf-16"))
            done = self._run("/Create", "/TN", task, "/XML", name, "/F", "/HRESULT")
        except OSError as error:
            raise ServiceError(f"cannot write the task of {service}: {name}: {error.strerror}") from error
        finally:
            Path(name).unlink(missing_ok=True)
        if done.code != 0:
            raise self._error(service, "install", done)

    def exists(self, service: str, task: str) -> bool:
        done = self._run("/Query", "/TN", task, "/HRESULT")
        if done.code == 0:
            return True
        if done.win32 in (_FILE_NOT_FOUND, _PATH_NOT_FOUND):
            return False
        raise self._error(service, "ask about", done)

    def names(self) -> set[str]:
        """Every task in the root folder, in one call; in lower case, for Windows does not tell case apart."""
        done = self._run("/Query", "/FO", "CSV", "/NH", "/HRESULT")
        if done.code != 0:
            if done.win32 in (_FILE_NOT_FOUND, _PATH_NOT_FOUND):
                return set()
            raise self._error("the services", "list", done)
        # The first column is the name with its folder; only the other columns are in a language.
        rows = csv.reader(done.output.splitlines())
        return {row[0].removeprefix("\\").casefold() for row in rows if row and row[0].count("\\") == 1}

    def run(self, service: str, task: str) -> None:
        done = self._run("/Run", "/TN", task)
        if done.code != 0:
            raise self._error(service, "start", done)

    def end(self, service: str, task: str) -> None:
        """End what runs of it, at once. A task that does not run is fine."""
        done = self._run("/End", "/TN", task)
        if done.code != 0 and self.exists(service, task) and done.win32 == _ACCESS_DENIED:
            raise self._error(service, "stop", done)

    def delete(self, service: str, task: str) -> None:
        """Remove the task; one that is not there is fine."""
        done = self._run("/Delete", "/TN", task, "/F")
        if done.code != 0 and self.exists(service, task):
            raise self._error(service, "uninstall", done)

    def _run(self, *arguments: str) -> _Answer:
        if sys.platform == "win32":
            flags = subprocess.CREATE_NO_WINDOW
        else:
            flags = 0
        try:
            done = subprocess.run(
                [self._program, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_TIMEOUT,
                creationflags=flags,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return _Answer(-1, "", f"it did not answer within {_TIMEOUT:g} s")
        except FileNotFoundError:
            return _Answer(-2, "", f"{self._program} is not there")
        except OSError as error:
            return _Answer(-2, "", f"{self._program}: {error.strerror}")
        output, said = (decode_console(data, self._code_page) for data in (done.stdout, done.stderr))
        return _Answer(done.returncode, output, said)

    def _error(self, service: str, action: str, done: _Answer) -> ServiceError:
        text = " ".join((done.error.strip() or done.output.strip()).split())
        if done.code < 0 and done.code in (-1, -2):
            return NoBusError(service, action, f"the Task Scheduler does not answer: {text}")
        if done.win32 == _ACCESS_DENIED:
            remedy = f"Windows refuses it ({text or 'access denied'}); use an elevated prompt"
            return AccessDeniedError(service, action, remedy)
        return HostCommandError(service, action, "schtasks", done.code, text)
