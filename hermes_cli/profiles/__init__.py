"""Profiles: named homes of their own, each with a gateway."""

from .errors import (
    NotAProfileError,
    PortTakenError,
    ProfileError,
    ProfileExistsError,
    ProfileNotFoundError,
    ReservedProfileError,
    StorageError,
)

__all__ = [
    "NotAProfileError",
    "PortTakenError",
    "ProfileError",
    "ProfileExistsError",
    "ProfileNotFoundError",
    "ReservedProfileError",
    "StorageError",
]
