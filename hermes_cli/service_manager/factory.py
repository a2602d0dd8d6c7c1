"""From a kind of init to the backend that drives it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .detect import detect_service_manager
from .errors import NoServiceManagerError

if TYPE_CHECKING:
    from .types import ServiceManager, ServiceManagerKind


def get_service_manager(kind: ServiceManagerKind | None = None) -> ServiceManager:
    """The backend for `kind`, or for the init that is in charge here.

    Raises `NoServiceManagerError` where there is none that this version can drive.
    """
    kind = kind or detect_service_manager()
    if kind == "s6":
        from .s6 import S6ServiceManager

        return S6ServiceManager()
    raise NoServiceManagerError(kind)
