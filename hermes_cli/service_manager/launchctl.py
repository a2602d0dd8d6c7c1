"""Running launchctl: its verbs, and what its exit codes and words mean (launchctl(1), macOS 11 and newer)."""

from __future__ import annotations

import re
import time

from .errors import (
    HostCommandError,
    NoBusError,
    PermissionDeniedError,
    ServiceMaskedError,
    ServiceTimeoutError,
)
from .spawn import NOT_FOUND, TIMED_OUT, Completed, run

NOT_LOADED = (3, 113)
"""ESRCH of bootout and kickstart, and print's own for a service or domain that is not there."""
_ALREADY = (5, 17, 37)
"""bootstrap of what is loaded, or is on its way out: EALREADY, mostly told as a bare EIO."""
_IN_PROGRESS = 36
"""bootout of what takes its time to end."""
_DISABLED = 119
_NO_DOMAIN = (112, 125)
_DENIED = (1, 13, 150)
"""EPERM, EACCES, and "not privileged" of the system domain."""

_TIMEOUT = 20.0
_DRAIN = 45.0
"""Seconds for a service to leave its domain: launchd waits for its ExitTimeOut first."""
_RETRY = 10.0
"""Seconds in which a bootstrap is tried again: what is on its way out and what is broken fail alike."""
_RELOOK = 0.05
"""Seconds between two looks at a domain: launchctl has nothing to wait on."""

_FIELD = re.compile(r"^\t(state|pid|last exit code|path) = (.*)$", re.MULTILINE)


class Launchctl:
    """launchctl, on one machine; `program` is its name or path."""

    def __init__(self, program: str = "launchctl") -> None:
        self._program = program

    def domain_exists(self, domain: str) -> bool:
        """Whether launchd has the domain: gui/UID is there only while the user is logged in at the screen."""
        return self._run("print", domain).returncode == 0

    def loaded(self, service: str, target: str) -> dict[str, str] | None:
        """The fields of a loaded service; None where it is not loaded."""
        done = self._run("print", target)
        if done.returncode == 0:
            return {key: value.strip() for key, value in _FIELD.findall(done.stdout)}
        if done.returncode in (*NOT_LOADED, *_NO_DOMAIN):
            return None
        raise self._error(service, "ask about", done)

    def bootstrap(self, service: str, domain: str, label: str, plist: str) -> None:
        """Load the property list. What is loaded stays as it is; what is being unloaded is waited for."""
        deadline = time.monotonic() + _RETRY
        target = f"{domain}/{label}"
        while True:
            done = self._run("bootstrap", domain, plist)
            if done.returncode == 0:
                return
            if done.returncode == _DISABLED or "disabled" in done.stderr.lower():
                raise ServiceMaskedError(
                    service, f"disabled in launchd; 'launchctl enable {target}' ends that"
                )
            if done.returncode not in _ALREADY or time.monotonic() > deadline:
                raise self._error(service, "load", done)
            if self.loaded(service, target) is not None and self._stays(service, target):
                return
            time.sleep(_RELOOK)

    def bootout(self, service: str, target: str) -> bool:
        """Unload, ending what runs, and wait until it is gone; False where it was not loaded."""
        done = self._run("bootout", target)
        if done.returncode in NOT_LOADED or done.returncode in _NO_DOMAIN:
            return False
        if done.returncode not in (0, _IN_PROGRESS):
            raise self._error(service, "unload", done)
        deadline = time.monotonic() + _DRAIN
        while self.loaded(service, target) is not None:
            if time.monotonic() > deadline:
                raise ServiceTimeoutError(service, "leave launchd", _DRAIN, "it is still loaded")
            time.sleep(_RELOOK)
        return True

    def kickstart(self, service: str, target: str) -> bool:
        """Run it now, if it does not run; False where it is not loaded."""
        done = self._run("kickstart", target)
        if done.returncode in NOT_LOADED or done.returncode in _NO_DOMAIN:
            return False
        if done.returncode not in (0, 37):
            raise self._error(service, "start", done)
        return True

    def _stays(self, service: str, target: str) -> bool:
        """Whether a loaded service is not about to go: it is there on every look for a moment."""
        for _ in range(3):
            time.sleep(_RELOOK)
            if self.loaded(service, target) is None:
                return False
        return True

    def _run(self, *arguments: str) -> Completed:
        return run([self._program, *arguments], timeout=_TIMEOUT)

    def _error(
        self, service: str, action: str, done: Completed
    ) -> HostCommandError | NoBusError | PermissionDeniedError:
        text = done.stderr.strip() or done.stdout.strip()
        if done.returncode == NOT_FOUND:
            return NoBusError(service, action, f"{self._program} is not installed; this is no macOS")
        if done.returncode == TIMED_OUT:
            return NoBusError(service, action, f"launchctl did not answer within {_TIMEOUT:g} s")
        if done.returncode in _NO_DOMAIN:
            return NoBusError(service, action, "launchd has no domain for this user; log in first")
        if done.returncode in _DENIED or "not permitted" in text or "not privileged" in text.lower():
            return PermissionDeniedError(
                service, action, "run it as the user whose service it is, or with sudo"
            )
        return HostCommandError(service, action, "launchctl", done.returncode, text)
