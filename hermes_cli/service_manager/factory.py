"""From a kind of init to the backend that drives it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

from .detect import detect_service_manager
from .errors import NoServiceManagerError

if TYPE_CHECKING:
    from .types import ServiceManager, ServiceManagerKind


def get_service_manager(
    kind: ServiceManagerKind | None = None, *, level: Literal["user", "system"] | None = None
) -> ServiceManager:
    """The backend for `kind`, or for the init that is in charge here.

    `level` chooses between this user's services and the whole system's, where the init has both;
    by default the system's for root, and the user's for everyone else.
    Raises `NoServiceManagerError` where there is none that this version can drive.
    """
    kind = kind or detect_service_manager()
    if kind == "s6":
        from .s6 import S6ServiceManager

        return S6ServiceManager()
    if kind == "systemd":
        from .systemd import SystemdServiceManager

        return SystemdServiceManager(level or ("system" if os.geteuid() == 0 else "user"))
    if kind == "launchd":
        from .launchd import LaunchdServiceManager

        return LaunchdServiceManager(level=level)
    if kind == "windows":
        from .windows import WindowsServiceManager

        return WindowsServiceManager()
    raise NoServiceManagerError(kind)
