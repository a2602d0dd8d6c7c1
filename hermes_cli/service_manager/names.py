"""Names: what a profile may be called, and what its gateway is called in each init."""

from __future__ import annotations

import re

from .errors import InvalidNameError

DEFAULT_PROFILE = "default"
"""The profile that lives in the root home. It always exists and cannot be created or deleted."""

SERVICE_PREFIX = "gateway-"
"""`gateway-<profile>` is the name every verb of the library takes."""

MAX_NAME_LENGTH = 251 - len(SERVICE_PREFIX)
"""Characters a profile name may have: s6-svscan refuses directory names beyond 251."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


def validate_profile_name(name: str) -> str:
    """Return `name` if a profile may be called that; raise `InvalidNameError` with the rule otherwise."""
    if not _NAME.fullmatch(name):
        raise InvalidNameError(
            name,
            "use lower-case letters, digits, '-' and '_', and begin with a letter or a digit",
        )
    if len(name) > MAX_NAME_LENGTH:
        raise InvalidNameError(name, f"use at most {MAX_NAME_LENGTH} characters (it has {len(name)})")
    return name


def service_name(profile: str) -> str:
    """`gateway-<profile>`, the library's name for the gateway of `profile`."""
    return SERVICE_PREFIX + validate_profile_name(profile)


def profile_of(service: str) -> str:
    """The profile whose gateway is called `service`; raise `InvalidNameError` for anything else."""
    if not service.startswith(SERVICE_PREFIX):
        raise InvalidNameError(service, f"a gateway's service name begins with {SERVICE_PREFIX!r}")
    return validate_profile_name(service.removeprefix(SERVICE_PREFIX))
