"""What the units of a service are called, and where their files are."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .errors import InvalidNameError
from .names import DEFAULT_PROFILE, SERVICE_PREFIX, validate_profile_name
from .systemctl import Level

_MAX_UNIT_NAME = 255


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the files of one level are."""

    level: Level
    unit_dir: Path
    config_dir: Path
    state_dir: Path

    @classmethod
    def of(cls, level: Level) -> Layout:
        """Where systemd itself looks for what is installed by hand: systemd.unit(5), file-hierarchy(7)."""
        if level == "system":
            return cls(
                level,
                Path("/etc/systemd/system"),
                Path("/etc/hermes-services"),
                Path("/var/lib/hermes-services"),
            )
        config = _xdg("XDG_CONFIG_HOME", ".config")
        return cls(
            level,
            config / "systemd/user",
            config / "hermes-services",
            _xdg("XDG_STATE_HOME", ".local/state") / "hermes-services",
        )

    @property
    def target(self) -> str:
        """What a boot (a login, for a user without linger) reaches."""
        return "multi-user.target" if self.level == "system" else "default.target"


@dataclass(frozen=True, slots=True)
class Installation:
    """The units and files of one service; nothing is read or made by looking at them."""

    name: str
    layout: Layout

    @property
    def stem(self) -> str:
        return _stem(self.name)

    @property
    def unit(self) -> str:
        return f"{self.stem}.service"

    # A dot, because no name has one: these can be no other service's unit.
    @property
    def boot_unit(self) -> str:
        return f"{self.stem}.boot.service"

    @property
    def parked_unit(self) -> str:
        return f"{self.stem}.parked.service"

    @property
    def path(self) -> Path:
        return self.layout.unit_dir / self.unit

    @property
    def boot_path(self) -> Path:
        return self.layout.unit_dir / self.boot_unit

    @property
    def boot_link(self) -> Path:
        """What `systemctl enable` makes."""
        return self.layout.unit_dir / f"{self.layout.target}.wants" / self.boot_unit

    @property
    def parked_path(self) -> Path:
        return self.layout.unit_dir / self.parked_unit

    @property
    def environment_path(self) -> Path:
        return self.layout.config_dir / f"{self.stem}.env"

    @property
    def marker(self) -> Path:
        """There while the service is parked. Who starts it removes it."""
        return self.layout.state_dir / f"{self.stem}.parked"

    @property
    def paths(self) -> list[Path]:
        """Everything that can be installed, the unit that makes it a service first."""
        return [self.path, self.boot_path, self.parked_path, self.environment_path]


def unit_name(name: str) -> str:
    """The unit of service `name`: `hermes-gateway[-<profile>].service` for a gateway, else `<name>.service`.

    Raises `InvalidNameError` for what no service can be called.
    """
    return f"{_stem(name)}.service"


def service_of(unit: str) -> str | None:
    """The gateway whose unit this is; None for any other unit."""
    stem = unit.removesuffix(".service")
    if unit == stem or not (stem + "-").startswith("hermes-gateway-"):
        return None
    profile = stem.removeprefix("hermes-gateway").removeprefix("-") or DEFAULT_PROFILE
    try:
        return SERVICE_PREFIX + validate_profile_name(profile)
    except InvalidNameError:
        return None


def _stem(name: str) -> str:
    validate_profile_name(name.removeprefix(SERVICE_PREFIX))
    if name.startswith(SERVICE_PREFIX):
        profile = name.removeprefix(SERVICE_PREFIX)
        stem = "hermes-gateway" if profile == DEFAULT_PROFILE else f"hermes-gateway-{profile}"
    elif (name + "-").startswith("hermes-gateway-"):
        raise InvalidNameError(name, "a gateway is called gateway-<profile>")
    else:
        stem = name
    longest = _MAX_UNIT_NAME - len(".parked.service")
    if len(stem) > longest:
        over = len(stem) - longest
        raise InvalidNameError(name, f"it is {over} characters too long for the name of a systemd unit")
    return stem


def _xdg(variable: str, default: str) -> Path:
    """The XDG base directory specification: a relative value counts as none."""
    configured = os.environ.get(variable, "")
    return Path(configured) if configured.startswith("/") else Path.home() / default
