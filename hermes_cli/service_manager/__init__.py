"""The service-manager library. Imports only the standard library and nothing else of hermes_cli."""

from typing import TYPE_CHECKING

from .detect import detect_service_manager
from .errors import (
    ConflictingInstallError,
    GatewayNotRegisteredError,
    HostCommandError,
    InvalidNameError,
    NoBusError,
    NoServiceManagerError,
    PermissionDeniedError,
    S6CommandError,
    ServiceEditedError,
    ServiceError,
    ServiceMaskedError,
    ServiceParkedError,
    ServiceTimeoutError,
    SupervisorNotAnsweringError,
    UnsupportedSpecError,
)
from .factory import get_service_manager
from .names import validate_profile_name

if TYPE_CHECKING:
    from .launchd import LaunchdServiceManager
    from .s6 import S6ServiceManager
    from .systemd import SystemdServiceManager
    from .types import (
        RenderedFile,
        RestartPolicy,
        ServiceManager,
        ServiceManagerKind,
        ServiceSpec,
        ServiceStatus,
    )
    from .windows import WindowsServiceManager

__all__ = [
    "ConflictingInstallError",
    "GatewayNotRegisteredError",
    "HostCommandError",
    "InvalidNameError",
    "LaunchdServiceManager",
    "NoBusError",
    "NoServiceManagerError",
    "PermissionDeniedError",
    "RenderedFile",
    "RestartPolicy",
    "S6CommandError",
    "S6ServiceManager",
    "ServiceEditedError",
    "ServiceError",
    "ServiceManager",
    "ServiceManagerKind",
    "ServiceMaskedError",
    "ServiceParkedError",
    "ServiceSpec",
    "ServiceStatus",
    "ServiceTimeoutError",
    "SupervisorNotAnsweringError",
    "SystemdServiceManager",
    "UnsupportedSpecError",
    "WindowsServiceManager",
    "detect_service_manager",
    "get_service_manager",
    "validate_profile_name",
]

_LAZY = {
    "LaunchdServiceManager": "launchd",
    "RenderedFile": "types",
    "RestartPolicy": "types",
    "S6ServiceManager": "s6",
    "ServiceManager": "types",
    "ServiceManagerKind": "types",
    "ServiceSpec": "types",
    "ServiceStatus": "types",
    "SystemdServiceManager": "systemd",
    "WindowsServiceManager": "windows",
}


def __getattr__(name: str) -> object:
    """Load a backend or a type when it is named: every command imports this package, few drive a service."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f".{_LAZY[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
