"""The service-manager library. Imports only the standard library and nothing else of hermes_cli."""

from .detect import detect_service_manager
from .errors import (
    GatewayNotRegisteredError,
    InvalidNameError,
    NoServiceManagerError,
    PermissionDeniedError,
    S6CommandError,
    ServiceError,
    ServiceParkedError,
    ServiceTimeoutError,
    SupervisorNotAnsweringError,
)
from .names import validate_profile_name
from .types import (
    RenderedFile,
    RestartPolicy,
    ServiceManager,
    ServiceManagerKind,
    ServiceSpec,
    ServiceStatus,
)

__all__ = [
    "GatewayNotRegisteredError",
    "InvalidNameError",
    "NoServiceManagerError",
    "PermissionDeniedError",
    "RenderedFile",
    "RestartPolicy",
    "S6CommandError",
    "ServiceError",
    "ServiceManager",
    "ServiceManagerKind",
    "ServiceParkedError",
    "ServiceSpec",
    "ServiceStatus",
    "ServiceTimeoutError",
    "SupervisorNotAnsweringError",
    "detect_service_manager",
    "validate_profile_name",
]
