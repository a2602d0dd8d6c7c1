"""What the container is made with, what a caller asks for, and how the two differ."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .errors import HostError

DEFAULT_NAME = "hermes"
LOCAL_IMAGE = "hermes:dev"
"""What 'make image' builds, and what is run where no other image is named."""
DEFAULT_VOLUME = "hermes-data"
DEFAULT_PORTS = "8642-8661,9119"
"""Gateways get their ports from 8642 up, one each: room for twenty, and the dashboard's.

A port cannot be published later without making the container anew, so the range is published in advance:
0.25 s at the start, and nothing listens in the container until a gateway does.
"""
DEFAULT_ADDRESS = "127.0.0.1"
HOME = "/opt/data"
LABEL = "ai.hermes.container"
"""Marks the containers that 'hermes up' made; its value is the version of this module's conventions."""
STOP_TIMEOUT = 40
"""Seconds that 'docker stop' waits: a gateway may drain for 25 and is killed after 30."""
_MANY_PORTS = 1000
_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class Settings:
    """A container's settings, complete. Every port is the same inside and outside."""

    image: str
    volume: str = DEFAULT_VOLUME
    """A named volume, or an absolute directory of the host."""
    ports: tuple[int, ...] = ()
    address: str = DEFAULT_ADDRESS
    environment: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, container: Mapping[str, Any], image_environment: list[str]) -> Settings:
        """What `container` (as inspected) was made with. The image's own environment is not part of it."""
        bindings: Mapping[str, Any] = container["HostConfig"]["PortBindings"] or {}
        published = [binding for bound in bindings.values() for binding in bound or []]
        own = set(container["Config"]["Env"] or ()) - set(image_environment)
        sources = [
            mount.get("Name") or mount["Source"]
            for mount in container["Mounts"]
            if mount["Destination"] == HOME
        ]
        return cls(
            image=container["Config"]["Image"],
            volume=sources[0] if sources else "",
            ports=tuple(sorted({int(binding["HostPort"]) for binding in published if binding["HostPort"]})),
            address=published[0]["HostIp"] or "0.0.0.0" if published else DEFAULT_ADDRESS,
            environment=dict(variable.partition("=")[::2] for variable in sorted(own)),
        )


@dataclass(frozen=True, slots=True)
class Request:
    """What the caller named; None leaves it as it is, or to the default for a new container."""

    image: str | None = None
    volume: str | None = None
    ports: tuple[int, ...] | None = None
    address: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    def new(self, image: str) -> Settings:
        """The settings of a new container from `image`."""
        return Settings(
            image=image,
            volume=self.volume or DEFAULT_VOLUME,
            ports=parse_ports(DEFAULT_PORTS) if self.ports is None else self.ports,
            address=self.address or DEFAULT_ADDRESS,
            environment=_caller_ids() | dict(self.environment),
        )

    def applied_to(self, existing: Settings) -> Settings:
        """`existing`, changed where the caller named something."""
        return replace(
            existing,
            image=self.image or existing.image,
            volume=self.volume or existing.volume,
            ports=existing.ports if self.ports is None else self.ports,
            address=self.address or existing.address,
            environment=dict(existing.environment) | dict(self.environment),
        )


def differences(existing: Settings, wanted: Settings) -> list[str]:
    """What would change from `existing` to `wanted`, in words. Values of variables are not repeated."""
    found = []
    for name in ("image", "volume", "address"):
        old, new = getattr(existing, name), getattr(wanted, name)
        if old != new:
            found.append(f"{name} {old}, not {new}")
    if existing.ports != wanted.ports:
        found.append(f"ports {format_ports(existing.ports)}, not {format_ports(wanted.ports)}")
    for name, value in wanted.environment.items():
        if existing.environment.get(name) != value:
            state = "has another value" if name in existing.environment else "is not set"
            found.append(f"{name} {state}")
    return found


def parse_ports(text: str) -> tuple[int, ...]:
    """`8642-8661,9119` as sorted numbers; an empty text or `none` publishes nothing."""
    ports: set[int] = set()
    for part in text.split(",") if text not in ("", "none") else ():
        match = _PORTS.fullmatch(part.strip())
        if match is None:
            raise HostError(f"{part!r} is not a port or a range of ports such as 8642-8661")
        low, high = int(match[1]), int(match[2] or match[1])
        if not 1 <= low <= high <= 65535:
            raise HostError(f"{part!r} is not a range of ports: they go from 1 to 65535, the lower first")
        ports.update(range(low, high + 1))
        if len(ports) > _MANY_PORTS:
            raise HostError(f"at most {_MANY_PORTS} ports can be published: each costs the engine a process")
    return tuple(sorted(ports))


def format_ports(ports: tuple[int, ...]) -> str:
    """The inverse of `parse_ports`."""
    parts: list[str] = []
    start = previous = None
    for port in (*ports, None):
        if start is not None and (port is None or port != (previous or 0) + 1):
            parts.append(str(start) if start == previous else f"{start}-{previous}")
            start = None
        start = port if start is None else start
        previous = port
    return ",".join(parts) or "none"


def valid_volume(text: str) -> str:
    """A name as Docker takes it, or a directory, made absolute."""
    if "/" in text or text.startswith("."):
        path = Path(text).expanduser().absolute()
        if ":" in str(path):
            raise HostError(f"{path} cannot be mounted: Docker's mounts have no way to write a colon")
        return str(path)
    return text


def _caller_ids() -> dict[str, str]:
    """Files in the volume belong to the caller. Root's do not belong to root: the image's own ids apply."""
    if not hasattr(os, "getuid") or os.getuid() == 0:
        return {}
    return {"HERMES_UID": str(os.getuid()), "HERMES_GID": str(os.getgid())}
