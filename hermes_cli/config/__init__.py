"""Typed configuration: a profile's config.yaml and .env."""

from .dotenv import load_env
from .errors import ConfigError
from .reading import Inspection, inspect_config, load_config
from .schema import (
    KEYS,
    SECRETS,
    Config,
    DashboardConfig,
    DockerConfig,
    GatewayConfig,
    SshConfig,
    TerminalConfig,
    ToolsConfig,
)

__all__ = [
    "KEYS",
    "SECRETS",
    "Config",
    "ConfigError",
    "DashboardConfig",
    "DockerConfig",
    "GatewayConfig",
    "Inspection",
    "SshConfig",
    "TerminalConfig",
    "ToolsConfig",
    "inspect_config",
    "load_config",
    "load_env",
]
