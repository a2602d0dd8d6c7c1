"""Profiles: named homes of their own, each with a gateway."""

from .changes import create_profile, delete_profile, rename_profile
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
from .recover import recover_half_done
from .seed import seed_home
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
