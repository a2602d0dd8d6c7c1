"""Every setting there is: its type, its default, and what is expected of it in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

DEFAULT_HOST = "127.0.0.1"
FIRST_PORT = 8642
"""The port of the profile `default`; other profiles get the next free ones."""
DASHBOARD_PORT = 9119
DEFAULT_DRAIN = 20.0
MAX_DRAIN = 25.0
"""Seconds. Supervisors kill a gateway 30 s after asking it to end; the rest is for closing down."""

TOKEN_VARIABLE = "HERMES_GATEWAY_TOKEN"
PASSWORD_VARIABLE = "HERMES_DASHBOARD_PASSWORD"
DASHBOARD_TOKEN_VARIABLE = "HERMES_DASHBOARD_TOKEN"

Host = Annotated[str, msgspec.Meta(min_length=1, max_length=253, pattern=r"^[0-9A-Za-z.:_%-]+$")]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Drain = Annotated[float, msgspec.Meta(ge=0, le=MAX_DRAIN)]
PatternKeys = Annotated[str, msgspec.Meta(max_length=2000, pattern=r"^(?:[a-z0-9_]+(?:[ ,]+[a-z0-9_]+)*)?$")]


class GatewayConfig(msgspec.Struct, kw_only=True):
    """Where a profile's gateway listens, and how it ends."""

    host: Host = DEFAULT_HOST
    port: Port = FIRST_PORT
    drain_timeout: Drain = DEFAULT_DRAIN
    """Seconds a gateway may take to finish what it is doing when asked to stop."""
    token: str | None = None
    """The bearer token, from the profile's .env or the environment; never in config.yaml."""


class DashboardConfig(msgspec.Struct, kw_only=True):
    """Where the web page listens. Only the root home's is read."""

    host: Host = DEFAULT_HOST
    port: Port = DASHBOARD_PORT
    password: str | None = None
    """From the .env or the environment; never in config.yaml."""


class ToolsConfig(msgspec.Struct, kw_only=True):
    """What the tools of an agent may do without asking."""

    approved_commands: PatternKeys = ""
    """Pattern keys of dangerous commands that somebody allowed for good, separated by commas."""

    @property
    def approved(self) -> frozenset[str]:
        return frozenset(self.approved_commands.replace(",", " ").split())


class Config(msgspec.Struct, kw_only=True):
    """A profile's configuration, checked."""

    gateway: GatewayConfig = msgspec.field(default_factory=GatewayConfig)
    dashboard: DashboardConfig = msgspec.field(default_factory=DashboardConfig)
    tools: ToolsConfig = msgspec.field(default_factory=ToolsConfig)
    warnings: list[str] = msgspec.field(default_factory=list)
    """What is odd but harmless, each with its place: for a log or a person."""


@dataclass(frozen=True, slots=True)
class Key:
    """One setting of config.yaml."""

    kind: Any
    """A type msgspec can convert to."""
    expected: str
    """What a value must be, in words."""
    default: str | int | float
    variable: str | None = None
    """An environment variable that replaces the default, and nothing that is written in the file."""


_HOST_IN_WORDS = "a host name or address as text"
_PORT_IN_WORDS = "a port number from 1 to 65535"

KEYS = {
    "gateway.host": Key(Host, _HOST_IN_WORDS, DEFAULT_HOST, "HERMES_GATEWAY_HOST"),
    "gateway.port": Key(Port, _PORT_IN_WORDS, FIRST_PORT),
    "gateway.drain_timeout": Key(Drain, f"a number of seconds from 0 to {MAX_DRAIN:g}", DEFAULT_DRAIN),
    "dashboard.host": Key(Host, _HOST_IN_WORDS, DEFAULT_HOST, "HERMES_DASHBOARD_HOST"),
    "dashboard.port": Key(Port, _PORT_IN_WORDS, DASHBOARD_PORT, "HERMES_DASHBOARD_PORT"),
    "tools.approved_commands": Key(PatternKeys, "pattern keys like 'recursive_delete, force_push'", ""),
}
"""Dotted name → setting, in the order in which they are shown."""

SECTIONS = tuple(dict.fromkeys(name.partition(".")[0] for name in KEYS))

SECRETS = {
    "gateway.token": TOKEN_VARIABLE,
    "dashboard.password": PASSWORD_VARIABLE,
    "dashboard.token": DASHBOARD_TOKEN_VARIABLE,
}
"""What looks like a setting but lives in .env: config.yaml is shown, shared and backed up in the open."""


def nearest(name: str) -> str | None:
    """The known dotted name that `name` most likely means."""
    from difflib import get_close_matches

    same_leaf = [known for known in KEYS if known.partition(".")[2] == name.rpartition(".")[2]]
    near = get_close_matches(name, [*KEYS, *SECTIONS], n=1) or same_leaf
    return near[0] if near else None
