"""Profiles: named homes of their own, each with a gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import (
    GatewayRunningError,
    NotAProfileError,
    PortTakenError,
    ProfileError,
    ProfileExistsError,
    ProfileNotFoundError,
    ReservedProfileError,
    StorageError,
)
from .survey import (
    Profile,
    Survey,
    check_port,
    get_profile,
    list_profiles,
    port_holder,
    require_profile,
    survey,
)

if TYPE_CHECKING:
    from .changes import create_profile, delete_profile, rename_profile
    from .recover import recover_half_done
    from .seed import seed_home

__all__ = [
    "GatewayRunningError",
    "NotAProfileError",
    "PortTakenError",
    "Profile",
    "ProfileError",
    "ProfileExistsError",
    "ProfileNotFoundError",
    "ReservedProfileError",
    "StorageError",
    "Survey",
    "check_port",
    "create_profile",
    "delete_profile",
    "get_profile",
    "list_profiles",
    "port_holder",
    "recover_half_done",
    "rename_profile",
    "require_profile",
    "seed_home",
    "survey",
]

_LATE = {
    "create_profile": "changes",
    "delete_profile": "changes",
    "rename_profile": "changes",
    "recover_half_done": "recover",
    "seed_home": "seed",
}
"""What only commands that change something need: `profile list` and a gateway's start do not pay for it."""


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_LATE[name]}"), name)
